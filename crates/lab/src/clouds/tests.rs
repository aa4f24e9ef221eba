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
    assert_eq!(admin.password, "a b:c");
    let demo = login(FILE, "hextet-demo").unwrap();
    assert_eq!(
        demo,
        CloudLogin {
            auth_url: "http://[::1]:9696/identity/v3".into(),
            username: "demo".into(),
            password: "s3cret".into(),
            project_name: "demo".into(),
            domain_name: "Default".into(),
        }
    );
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
