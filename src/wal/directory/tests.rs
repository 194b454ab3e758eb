//! What a directory does where the file system does not do as usual.

use super::*;

#[test]
fn a_name_lies_in_the_directory_before_it_or_in_the_current_one() {
    for (name, expected) in [("/var/log", "/var"), ("a/log", "a"), ("log", "."), (".", ".")] {
        assert_eq!(holder(Path::new(name)), Path::new(expected), "{name}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn segments_are_mapped_where_overwriting_never_allocates() {
    const BTRFS: i128 = 0x9123_683e;
    for system in [EXT4, XFS, TMPFS] {
        assert_eq!(access_on(system), FileAccess::Mapped);
    }
    assert_eq!(access_on(BTRFS), FileAccess::Pwrite);
}

#[test]
fn of_a_file_that_cannot_be_filled_nothing_is_left() {
    let place = tempfile::tempdir().unwrap();
    let directory = Directory::open(place.path(), Some(FileAccess::Pwrite)).unwrap();
    let before = directory.names().unwrap();
    assert!(directory.create("a", u64::MAX).is_err(), "no file is that long");
    assert_eq!(directory.names().unwrap(), before);
}
