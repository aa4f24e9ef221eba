use rcgen::{CertificateParams, KeyPair};

use super::*;

#[test]
fn a_certificate_names_its_host_and_no_other() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["host-1".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    assert!(names(certificate.der(), "host-1"));
    assert!(!names(certificate.der(), "host-2"));
    assert!(!names(certificate.der(), "host-1.example"));
    assert!(!names(certificate.der(), ""));
    assert!(!names(&CertificateDer::from(vec![1, 2, 3]), "host-1"));
}
