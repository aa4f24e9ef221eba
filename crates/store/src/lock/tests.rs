use super::*;

#[test]
fn a_lock_that_is_let_go_of_is_free_though_a_child_still_has_its_descriptor() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("hextet.db");
    let lock = DatabaseLock::take(&database).unwrap().unwrap();
    // What a child has until it begins its own program.
    let _inherited = lock.file.try_clone().unwrap();
    drop(lock);
    assert!(DatabaseLock::take(&database).unwrap().is_some());
}
