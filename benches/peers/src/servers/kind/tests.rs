use super::*;

#[test]
fn udp_kv_tells_its_role_and_the_round_of_its_ballot() {
    let text = "# Synod\r\nreplica:2\r\nrole:leading\r\nballot:7.2\r\nleader:2\r\n";
    assert_eq!(read_info(text), Some(Look { leads: true, term: 7 }));
    let text = "role:following\r\nballot:none\r\n";
    assert_eq!(read_info(text), Some(Look { leads: false, term: 0 }));
    assert_eq!(read_info("role:leading\r\n"), None);
}

#[test]
fn zookeeper_tells_its_mode_and_epoch() {
    let text = "Zookeeper version: 3.8.0\nZxid: 0x300000002\nMode: leader\n";
    assert_eq!(read_srvr(text), Some(Look { leads: true, term: 3 }));
    assert_eq!(read_srvr("This ZooKeeper instance is not currently serving requests\n"), None);
}

#[test]
fn what_is_missing_is_named_with_what_brings_it() {
    let missing = Kind::Synod.installed(Path::new("/nowhere/udp_kv"));
    let text = missing.expect_err("it is nowhere");
    assert!(text.contains("cargo build"), "{text}");
}

#[test]
fn a_member_of_udp_kv_is_told_of_the_others() {
    let place = |number, port| Place {
        number,
        directory: PathBuf::from("/data"),
        ports: [port, port + 1, port + 2],
    };
    let all = [place(1, 100), place(2, 200), place(3, 300)];
    let command = synod(&all[1], &all, Path::new("udp_kv"));
    let arguments: Vec<_> = command.get_args().map(|it| it.to_string_lossy()).collect();
    let expected = "--id 2 --listen 127.0.0.1:201 --peer 1=127.0.0.1:101 --peer 3=127.0.0.1:301 \
                    --client 127.0.0.1:200 --data /data";
    assert_eq!(arguments.join(" "), expected);
}
