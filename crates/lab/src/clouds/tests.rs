use super::*;

const FILE: &str = "\
# written by hextet up
clouds:
  hextet:
    auth:
      auth_url: http://[::1]:9696/identity/v3
      username: admin
      password: \"a b:c\"
      project_name: admin
      user_domain_name: Default
    region_name: RegionOne
  hextet-demo:
    auth:
      auth_url: 'http://[::1]:9696/identity/v3'
      username: demo
      password: s3cret
      project_name: demo
";

#[test]
fn each_cloud_has_its_own_login() {
    let admin = login(FILE, "hextet").unwrap();
    assert_eq!(
        admin.body()["auth"]["identity"]["password"]["user"]["password"],
        "a b:c"
    );
    let demo = login(FILE, "hextet-demo").unwrap();
    assert_eq!(
        demo,
        CloudLogin {
            auth_url: "http://[::1]:9696/identity/v3".into(),
            proof: Proof::Password {
                username: "demo".into(),
                password: "s3cret".into(),
                project_name: "demo".into(),
                domain_name: "Default".into(),
            },
            trust: Trust::Machine,
        }
    );
    assert!(!format!("{admin:?}{demo:?}").contains("s3cret"));
}

#[test]
fn what_is_missing_is_named() {
    let error = login(FILE, "elsewhere").unwrap_err().to_string();
    assert_eq!(error, "clouds.yaml lacks clouds.elsewhere.auth.auth_url");
}

#[test]
fn what_is_no_map_is_refused() {
    assert!(maps("clouds:\n  - hextet\n").is_err());
}

const SECURE: &str = "\
clouds:
  ci:
    auth_type: v3applicationcredential
    auth:
      auth_url: https://[2001:db8::1]:9696/identity/v3
      application_credential_id: abc
      application_credential_secret: hush
    cacert: /etc/hextet/ca.pem
";

#[test]
fn a_credential_and_the_authorities_are_read() {
    let ci = login(SECURE, "ci").unwrap();
    assert_eq!(ci.trust, Trust::File("/etc/hextet/ca.pem".into()));
    let identity = &ci.body()["auth"]["identity"];
    assert_eq!(identity["methods"][0], "application_credential");
    assert_eq!(identity["application_credential"]["secret"], "hush");
    let error = format!("{:#}", ci.believed().err().unwrap());
    assert!(
        error.starts_with("could not read cacert /etc/hextet/ca.pem"),
        "{error}"
    );
    for (verify, trust) in [
        ("verify: False", Trust::Anybody),
        ("verify: true", Trust::File("/etc/hextet/ca.pem".into())),
    ] {
        let text = format!("{SECURE}    {verify}\n");
        assert_eq!(login(&text, "ci").unwrap().trust, trust);
    }
    let error = login(&format!("{SECURE}    verify: perhaps\n"), "ci").unwrap_err();
    assert_eq!(
        error.to_string(),
        "clouds.ci.verify is \"perhaps\": true or false is allowed"
    );
}

#[test]
fn a_machine_need_know_no_authority_for_http() {
    let believed = login(FILE, "hextet").unwrap().believed().unwrap();
    assert!(believed.authorities.unwrap().is_empty() && !believed.anybody);
    let odd = FILE.replace("http://", "ftp://");
    let error = login(&odd, "hextet").unwrap().believed().err().unwrap();
    assert!(
        error
            .to_string()
            .contains("begins with http:// or https://"),
        "{error}"
    );
}
