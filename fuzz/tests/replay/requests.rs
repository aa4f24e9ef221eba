//! Requests to the API that can be carried out, one of each kind, as seeds.

/// Name and request.
pub const SEEDS: [(&str, &str); 43] = [
    (
        "networks",
        "GET /v2.0/networks?name=a&name=b&fields=id&fields=name",
    ),
    (
        "networks-page",
        "GET /v2.0/networks?limit=3&marker=3f2504e0-4f89-41d3-9a0c-0305e82c3301&page_reverse=True",
    ),
    (
        "networks-sorted",
        "GET /v2.0/networks?sort_key=name&sort_dir=desc&sort_key=id&sort_dir=asc",
    ),
    (
        "networks-tags",
        "GET /v2.0/networks?tags=a,b&tags-any=c&not-tags=d&not-tags-any=e",
    ),
    (
        "networks-since",
        "GET /v2.0/networks?changed_since=2026-11-21T00:00:00Z&admin_state_up=True",
    ),
    (
        "subnets",
        "GET /v2.0/subnets?cidr=2001:db8::/64&ip_version=6&enable_dhcp=1",
    ),
    (
        "ports",
        "GET /v2.0/ports?fixed_ips=ip_address=2001:db8::5&fixed_ips=ip_address_substr=db8&mac_address=FA-16-3E-00-00-01",
    ),
    (
        "ports-escaped",
        "GET /v2.0/ports?device_id=&binding%3Ahost_id=h1&tenant_id=%C3%A4+%2B",
    ),
    (
        "networks-typed",
        "GET /v2.0/networks?status=ACTIVE&shared=false&mtu=1500&revision_number=2&provider:network_type=vxlan&provider:segmentation_id=7&hextet:address_policy=all-ports",
    ),
    (
        "ports-typed",
        "GET /v2.0/ports?ip_allocation=none&network_id=3F2504E04F8941D39A0C0305E82C3301&fixed_ips=subnet_id=3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    ),
    (
        "twice",
        "POST /v2.0/networks\n{\"network\": {\"name\": \"a\", \"name\": \"b\"}}",
    ),
    (
        "network-create",
        "POST /v2.0/networks\n{\"network\": {\"name\": \"n\", \"admin_state_up\": \"true\", \"mtu\": 1400, \"description\": \"\\u00e4\"}}",
    ),
    (
        "networks-create",
        "POST /v2.0/networks\n{\"networks\": [{}, {\"network\": {\"name\": \"b\"}}]}",
    ),
    (
        "network-update",
        "PUT /v2.0/networks/3f2504e0-4f89-41d3-9a0c-0305e82c3301\n{\"network\": {\"shared\": false}}",
    ),
    (
        "subnet-create",
        "POST /v2.0/subnets\n{\"subnet\": {\"network_id\": \"3f2504e0-4f89-41d3-9a0c-0305e82c3301\", \"ip_version\": 6, \"cidr\": \"2001:db8::/64\", \"ipv6_ra_mode\": \"slaac\", \"ipv6_address_mode\": \"slaac\", \"dns_nameservers\": [\"2001:db8::53\"], \"allocation_pools\": [{\"start\": \"2001:db8::2\", \"end\": \"2001:db8::9\"}]}}",
    ),
    (
        "subnet-create-ipv4",
        "POST /v2.0/subnets\n{\"subnet\": {\"network_id\": \"3f2504e0-4f89-41d3-9a0c-0305e82c3301\", \"ip_version\": 4, \"cidr\": \"192.0.2.0/24\", \"gateway_ip\": null, \"host_routes\": [{\"destination\": \"198.51.100.0/24\", \"nexthop\": \"192.0.2.9\"}]}}",
    ),
    (
        "subnet-update",
        "PUT /v2.0/subnets/3f2504e0-4f89-41d3-9a0c-0305e82c3301\n{\"subnet\": {\"gateway_ip\": \"2001:db8::1\", \"enable_dhcp\": true}}",
    ),
    (
        "port-create",
        "POST /v2.0/ports\n{\"port\": {\"network_id\": \"3f2504e0-4f89-41d3-9a0c-0305e82c3301\", \"mac_address\": \"fa:16:3e:11:22:33\", \"device_owner\": \"compute:x\", \"fixed_ips\": [{\"subnet_id\": \"3f2504e0-4f89-41d3-9a0c-0305e82c3302\", \"ip_address\": \"2001:db8::5\"}]}}",
    ),
    (
        "port-update",
        "PUT /v2.0/ports/3f2504e0-4f89-41d3-9a0c-0305e82c3301\n{\"port\": {\"binding:host_id\": \"h1\", \"fixed_ips\": [{\"subnet_id\": \"3f2504e0-4f89-41d3-9a0c-0305e82c3302\", \"delete_subnet\": true}]}}",
    ),
    (
        "tags",
        "PUT /v2.0/ports/3f2504e0-4f89-41d3-9a0c-0305e82c3301/tags\n{\"tags\": [\"a\", \"b\"]}",
    ),
    (
        "quota",
        "PUT /v2.0/quotas/0123456789abcdef0123456789abcdef\n{\"quota\": {\"port\": -1, \"network\": \"7\", \"force\": true}}",
    ),
    (
        "login",
        "POST /identity/v3/auth/tokens\n{\"auth\": {\"identity\": {\"methods\": [\"password\"], \"password\": {\"user\": {\"name\": \"demo\", \"password\": \"pw\", \"domain\": {\"id\": \"default\"}}}}, \"scope\": {\"project\": {\"name\": \"demo\", \"domain\": {\"name\": \"Default\"}}}}}",
    ),
    (
        "login-token",
        "POST /identity/v3/auth/tokens\n{\"auth\": {\"identity\": {\"methods\": [\"token\"], \"token\": {\"id\": \"x\"}}, \"scope\": \"unscoped\"}}",
    ),
    (
        "login-credential",
        "POST /identity/v3/auth/tokens\n{\"auth\": {\"identity\": {\"methods\": [\"application_credential\"], \"application_credential\": {\"name\": \"ci\", \"user\": {\"name\": \"demo\", \"domain\": {\"id\": \"default\"}}, \"secret\": \"s\"}}}}",
    ),
    (
        "project-create",
        "POST /identity/v3/projects\n{\"project\": {\"name\": \"a project of some people who share their networks\", \"description\": \"what they do, in a sentence or two\", \"enabled\": true, \"domain_id\": \"default\", \"parent_id\": \"default\", \"is_domain\": false, \"tags\": [], \"options\": {}}}",
    ),
    (
        "project-update",
        "PATCH /identity/v3/projects/0123456789abcdef0123456789abcdef\n{\"project\": {\"description\": null, \"enabled\": false}}",
    ),
    (
        "user-create",
        "POST /identity/v3/users\n{\"user\": {\"name\": \"somebody with a long name, as some have\", \"password\": \"a sentence that nobody guesses, we hope\", \"email\": \"somebody@example.org\", \"default_project_id\": null, \"description\": \"\", \"enabled\": true, \"options\": {}}}",
    ),
    (
        "user-update",
        "PATCH /identity/v3/users/0123456789abcdef0123456789abcdef\n{\"user\": {\"password\": null, \"default_project_id\": \"0123456789abcdef0123456789abcdef\"}}",
    ),
    (
        "password",
        "POST /identity/v3/users/0123456789abcdef0123456789abcdef/password\n{\"user\": {\"original_password\": \"old\", \"password\": \"new\"}}",
    ),
    (
        "credential-create",
        "POST /identity/v3/users/0123456789abcdef0123456789abcdef/application_credentials\n{\"application_credential\": {\"name\": \"ci\", \"description\": \"for the machine that builds\", \"secret\": \"s\", \"roles\": [{\"name\": \"reader\"}, {\"name\": \"member\", \"domain_id\": null}], \"expires_at\": \"2999-12-31T23:59:59.000000Z\", \"unrestricted\": false, \"access_rules\": []}}",
    ),
    (
        "token-keys",
        "POST /identity/v3/hextet/token_keys\n{\"token_key\": {\"end_tokens\": false}}",
    ),
    (
        "projects-list",
        "GET /identity/v3/projects?name=demo&enabled=true&domain_id=default&parent_id=default&is_domain=false",
    ),
    (
        "login-nocatalog",
        "POST /identity/v3/auth/tokens?nocatalog\n{\"auth\": {\"identity\": {\"methods\": [\"token\"], \"token\": {\"id\": \"x\"}}}}",
    ),
    ("token-show", "GET /identity/v3/auth/tokens?nocatalog=true"),
    (
        "services-list",
        "GET /identity/v3/services?name=hextet&type=network",
    ),
    (
        "endpoints-list",
        "GET /identity/v3/endpoints?interface=public&region_id=RegionOne&service_id=x",
    ),
    (
        "domains-list",
        "GET /identity/v3/domains?name=Default&enabled",
    ),
    ("roles-list", "GET /identity/v3/roles?name=member"),
    (
        "users-list",
        "GET /identity/v3/users?name=%C3%A4&domain_id=default&enabled=False",
    ),
    (
        "credentials-list",
        "GET /identity/v3/users/0123456789abcdef0123456789abcdef/application_credentials?name=ci",
    ),
    (
        "role-assignments-list",
        "GET /identity/v3/role_assignments?user.id=x&scope.project.id=y&role.id=z&effective&include_names=1",
    ),
    (
        "deep",
        "POST /v2.0/networks\n{\"network\": {\"name\": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"x\"]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}}",
    ),
    (
        "odd",
        "BREW /v2.0/networks/..%2f..%00/?%zz&&=&fields\n\u{0}{\"network\": {\"name\": \"\\ud800\"}}",
    ),
];
