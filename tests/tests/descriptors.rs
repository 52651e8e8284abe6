//! A process that has run out of descriptors: its door does not spin, does not end, and serves again
//! when there are some. Alone in its program, because the limit is the whole process's.

use ironbark_tests::door::Door;
use ironbark_wsdl::http::ServerLimits;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn a_door_without_descriptors_serves_again_when_it_has_some() {
    let door = Door::open(ServerLimits::default()).await;
    door.assert_unshaken().await;
    let open = std::fs::read_dir("/proc/self/fd").expect("/proc").count();
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, open as u64 + 50, most).expect("a lower limit");
    let mut strangers = Vec::new();
    let error = loop {
        match TcpStream::connect(door.address).await {
            Ok(stream) => strangers.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(error.raw_os_error(), Some(nix::libc::EMFILE), "{error}");
    assert!(strangers.len() >= 20, "{}", strangers.len());
    drop(strangers);
    door.assert_unshaken().await;
}
