"""HTTPS with the real clients: an authority of our own, a certificate that is renewed under load, one that is not believed."""

import datetime
import ipaddress
import ssl
import threading
import time
import urllib.parse

import pytest
from conftest import COMMAND_WITHIN, Cloud, Refused
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = datetime.datetime.now(datetime.timezone.utc)


class Authority:
    """Signs certificates for the loopback."""

    def __init__(self, folder, name):
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self.builder(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True,
        ).sign(self.key, hashes.SHA256())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def builder(self, subject, key):
        return x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(
            key.public_key(),
        ).serial_number(x509.random_serial_number()).not_valid_before(NOW - datetime.timedelta(hours=1)).not_valid_after(
            NOW + datetime.timedelta(days=1),
        )

    def issue(self):
        """Writes a new certificate and its key over the old ones; the certificate as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "api")])
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("::1"))])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = self.builder(subject, key).add_extension(names, critical=False).add_extension(
            issuer, critical=False,
        ).sign(self.key, hashes.SHA256())
        text = certificate.public_bytes(serialization.Encoding.PEM)
        (self.folder / "api.pem").write_bytes(text)
        (self.folder / "api.key").write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption(),
        ))
        return text.decode()


@pytest.fixture(scope="module")
def secure(tmp_path_factory, no_proxy):
    """A cloud that came up with HTTP, was given a certificate, and came up again."""
    folder = tmp_path_factory.mktemp("https")
    cloud, authority = Cloud(folder / "cloud"), Authority(folder, "authority")
    cloud.start()
    cloud.stop()
    authority.issue()
    server = cloud.directory / "server.toml"
    server.write_text(f'{server.read_text()}\n[tls]\ncert = "{folder}/api.pem"\nkey = "{folder}/api.key"\n')
    clouds = cloud.clouds_yaml.read_text().replace("http://", "https://")
    cloud.clouds_yaml.write_text(clouds.replace(
        "    region_name", f"    cacert: {authority.file}\n    region_name",
    ))
    cloud.start()
    yield cloud, authority
    cloud.take_down()


def shown(cloud):
    """The certificate that the server shows now."""
    url = urllib.parse.urlsplit(cloud.url)
    return ssl.get_server_certificate((url.hostname, url.port))


def test_the_clients_work_by_https_and_are_told_https(secure, name):
    cloud, _ = secure
    assert cloud.url.startswith("https://[::1]:")
    catalog = {service["Type"]: service for service in cloud.openstack("catalog", "list")}
    for service in catalog.values():
        assert all(endpoint["url"].startswith("https://[::1]:") for endpoint in service["Endpoints"])
    made = cloud.openstack("network", "create", name)
    assert cloud.openstack("network", "show", name)["id"] == made["id"]
    cloud.openstack("network", "delete", name, json_output=False)
    assert "demo" in cloud.hextet("identity", "project", "list")


def test_an_authority_that_is_not_believed_is_said_so(secure, tmp_path):
    cloud, authority = secure
    text = cloud.clouds_yaml.read_text()
    other = Authority(tmp_path, "other")
    try:
        cloud.clouds_yaml.write_text(text.replace(str(authority.file), str(other.file)))
        with pytest.raises(Refused) as refused:
            cloud.hextet("identity", "project", "list")
        told = str(refused.value)
        assert "shows a certificate that is not believed" in told and "cacert" in told and "UnknownIssuer" in told
        with pytest.raises(Refused) as refused:
            cloud.openstack("network", "list")
        assert "certificate" in str(refused.value).lower()
        cloud.clouds_yaml.write_text(text.replace(f"cacert: {authority.file}", "verify: false"))
        assert "demo" in cloud.hextet("identity", "project", "list")
        cloud.clouds_yaml.write_text(text.replace(str(authority.file), str(tmp_path / "nosuch.pem")))
        with pytest.raises(Refused) as refused:
            cloud.hextet("identity", "project", "list")
        assert f"could not read cacert {tmp_path}/nosuch.pem" in str(refused.value)
    finally:
        cloud.clouds_yaml.write_text(text)


def test_the_environment_names_the_authority_too(secure):
    cloud, authority = secure
    login = {
        "OS_AUTH_URL": f"{cloud.url}/identity/v3", "OS_USERNAME": "demo", "OS_PROJECT_NAME": "demo",
        "OS_PASSWORD": cloud.connect().config.config["auth"]["password"],
        "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default",
    }
    believing = {**login, "OS_CACERT": str(authority.file)}
    assert "demo" in cloud.hextet("identity", "project", "list", **believing)
    assert cloud.openstack("token", "issue", **believing)["project_id"]
    with pytest.raises(Refused) as refused:
        cloud.hextet("identity", "project", "list", **login)
    assert "OS_CACERT" in str(refused.value)


def test_a_certificate_is_renewed_under_load_without_a_failed_request(secure):
    cloud, authority = secure
    before, done, failures, asked = shown(cloud), threading.Event(), [], []

    def ask():
        while not done.is_set():
            try:
                # A login and a list, on connections of their own.
                list(cloud.connect().network.networks())
                asked.append(1)
            except Exception as failure:  # whatever it is, it is what this test looks for
                failures.append(failure)
                return

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    try:
        after = authority.issue()
        end = time.monotonic() + COMMAND_WITHIN
        while shown(cloud) == before:
            assert time.monotonic() < end and not failures, failures
        assert shown(cloud).split() == after.split()
        (authority.folder / "api.key").write_text("no key")
        while "the certificate is not replaced" not in cloud.log.read_text():
            assert time.monotonic() < end and not failures, failures
        assert shown(cloud).split() == after.split()
        more = len(asked) + 3
        while len(asked) < more:
            assert time.monotonic() < end and not failures, failures
    finally:
        done.set()
        for client in clients:
            client.join()
    assert not failures
