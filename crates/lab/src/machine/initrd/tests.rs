use super::*;

#[test]
fn ldd_names_libraries_and_the_loader_and_not_what_the_kernel_gives() {
    let listed = "\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\t/lib64/ld.so.2 (0x00007f)\n";
    assert_eq!(
        libraries(listed),
        [Path::new("/lib/x/libc.so.6"), Path::new("/lib64/ld.so.2")]
    );
    assert_eq!(libraries("\tstatically linked\n"), Vec::<PathBuf>::new());
}

#[test]
fn an_archive_has_each_folder_once_before_its_files_and_is_padded() {
    let mut initrd = Initrd {
        archive: Vec::new(),
        names: BTreeSet::new(),
    };
    initrd.put(Path::new("a/b/one"), FILE, b"12345");
    initrd.put(Path::new("a/b/two"), FILE, b"");
    let text = String::from_utf8_lossy(&initrd.archive).into_owned();
    let at = |name: &str| text.find(name).unwrap_or_else(|| panic!("no {name:?}"));
    // A name follows the 110 bytes of its header.
    assert_eq!(&text[110..112], "a\0");
    assert!(at("a/b\0") < at("a/b/one\0") && at("a/b/one\0") < at("a/b/two\0"));
    assert_eq!(text.matches("070701").count(), 4);
    assert_eq!(initrd.archive.len() % 4, 0);
    assert_eq!(at("12345") % 4, 0);
}
