//! A directory that can be read and not changed.

use std::fs;
use std::io;
use std::vec;
use std::vec::Vec;

use super::*;

#[test]
fn names_and_bytes_are_read_and_nothing_can_be_changed() {
    let directory = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..10_000u32).map(|i| (i / 7) as u8).collect();
    fs::write(directory.path().join("file"), &bytes).unwrap();
    fs::create_dir(directory.path().join("other")).unwrap();
    let medium = ReadOnlyDirectory::new(directory.path().into());
    assert_eq!(medium.place(), directory.path().display().to_string());
    assert_eq!(medium.names().unwrap(), ["file", "other"]);
    let file = medium.open("file").unwrap();
    assert_eq!(file.bytes().unwrap(), 10_000);
    let mut read = vec![0; 9_000];
    file.read_at(500, &mut read).unwrap();
    assert_eq!(read, bytes[500..9_500]);
    let error = file.read_at(1_001, &mut read).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    let kind = |error: Option<io::Error>| error.map(|error| error.kind());
    assert_eq!(kind(medium.open("other").err()), Some(io::ErrorKind::InvalidInput));
    assert_eq!(kind(medium.open("nothing").err()), Some(io::ErrorKind::NotFound));
    let changes = [
        medium.create("new", 1).err(),
        medium.open_writable("file").err(),
        medium.rename("file", "new").err(),
        medium.remove("file").err(),
        medium.sync_names().err(),
        medium.random(&mut [0]).err(),
        file.write_at(0, &[1]).err(),
        file.sync().err(),
    ];
    for error in changes {
        assert_eq!(kind(error), Some(io::ErrorKind::ReadOnlyFilesystem));
    }
    assert_eq!(medium.names().unwrap(), ["file", "other"]);
    assert_eq!(fs::read(directory.path().join("file")).unwrap(), bytes);
}
