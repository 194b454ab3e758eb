//! What does not fit into a mapping is an error.

use std::io::ErrorKind;

use super::*;

#[test]
fn a_file_is_mapped_only_as_far_as_it_goes() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    let longer = Map::new(&file, 4097).map(|_| ()).unwrap_err();
    assert_eq!(longer.kind(), ErrorKind::UnexpectedEof);
    assert!(Map::new(&file, 4096).is_ok());
}

#[test]
fn nothing_is_copied_beyond_the_end() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(4096).unwrap();
    let map = Map::new(&file, 4096).unwrap();
    map.copy_in(&file, 4094, &[1; 2]).unwrap();
    for offset in [4095, 4096, u64::MAX] {
        let beyond = map.copy_in(&file, offset, &[2; 2]).unwrap_err();
        assert_eq!(beyond.kind(), ErrorKind::InvalidInput, "{offset}");
    }
}
