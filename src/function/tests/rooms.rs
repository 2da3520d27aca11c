//! What an environment has for itself of the file system.

use std::sync::atomic::Ordering;

use super::*;

const CODE: &str = "
import os, tempfile
def handler(event, context):
    path = os.path.join(tempfile.gettempdir(), event['file'])
    if 'mb' in event:
        try:
            with open(path, 'wb') as file:
                for _ in range(event['mb']): file.write(b'x' * (1 << 20))
        except OSError as error:
            os.remove(path)
            return os.strerror(error.errno)
    if event.get('crash'): os._exit(1)
    return [os.path.exists(path), tempfile.gettempdir(), os.listdir('/tmp'), os.getpid()]
";

fn python() -> Bench {
    let mut bench = Bench::handler("python3.12", "app.handler", ("app.py", CODE));
    bench.spec.storage_mb = 4;
    bench
}

/// Whether rooms can be made on this machine.
fn have_rooms() -> bool {
    let tried = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/tmp"])
        .status();
    cfg!(target_os = "linux") && tried.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn temporary_files_outlive_a_crash_and_end_with_the_environment() {
    if !installed("python3") {
        return;
    }
    let bench = python();
    let first = bench.result(r#"{"file":"a","mb":1}"#).await;
    assert_eq!(first[0], true);
    let folder =
        bench.path().join(".dropwire/environments").join(&bench.functions.list()[0].environments[0].id);
    assert_eq!(first[1], folder.join("tmp").to_string_lossy().as_ref());
    bench.failure(r#"{"file":"b","mb":1,"crash":true}"#).await;
    for file in ["a", "b"] {
        let after = bench.result(&format!(r#"{{"file":"{file}"}}"#)).await;
        assert_eq!(after[0], true, "{file} is kept");
        assert_ne!(after[3], first[3], "a new process");
    }
    assert!(folder.is_dir());
    bench.functions.stop().await;
    assert!(!folder.exists(), "nothing is left");
}

#[tokio::test]
async fn there_is_only_so_much_space() {
    if !installed("python3") {
        return;
    }
    let bench = python();
    if have_rooms() {
        assert_eq!(bench.result(r#"{"file":"a","mb":9}"#).await, "No space left on device");
        assert_eq!(bench.result(r#"{"file":"a","mb":2}"#).await[0], true);
    } else {
        let full = bench.reply(r#"{"file":"a","mb":9}"#).await;
        assert!(full.report.log.contains("the temporary folder holds 9 MB, and 4 MB are the most"));
        bench.result(r#"{"file":"a"}"#).await;
        assert_eq!(bench.functions.list()[0].cold_starts, 2);
    }
    bench.functions.stop().await;
}

#[tokio::test]
async fn tmp_is_its_own_where_nothing_else_needs_it() {
    if !installed("python3") || !have_rooms() {
        return;
    }
    let bench = python();
    let elsewhere = tempfile::tempdir_in("/var/tmp").expect("a folder");
    std::fs::write(elsewhere.path().join("app.py"), CODE).expect("written");
    let kind = FunctionKind::Handler {
        runtime: "python3.12".into(),
        handler: "app.handler".into(),
        code: elsewhere.path().to_owned(),
    };
    let spec = FunctionSpec::new("f", kind, elsewhere.path().to_owned());
    let state = elsewhere.path().join(".dropwire");
    let functions =
        Functions::new(Place::default(), Clock::system(), Timeline::default(), Random::seeded(1), state);
    functions.replace(BTreeMap::from([("f".to_owned(), spec)])).await;
    let event = Bytes::from_static(b"{\"file\":\"a\",\"mb\":1}");
    let outcome = functions.invoke("f", Invocation::of(event, ID)).await;
    let Some(Outcome::Done(reply)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(json(&reply.payload)[2], serde_json::json!(["a"]));
    assert!(!Path::new("/tmp/a").exists());
    functions.stop().await;
    drop(bench);
}

#[tokio::test]
async fn without_rooms_the_folder_is_where_the_variable_says() {
    if !installed("python3") {
        return;
    }
    let mut bench = python();
    bench.functions.0.world.as_ref().expect("a world").rooms_work.store(false, Ordering::Relaxed);
    bench.write("layer/python/word.py", "WORD = 'of the layer'\n");
    bench.write("app.py", &format!("import word\n{} + [word.WORD, os.environ['TMPDIR']]\n", CODE.trim_end()));
    bench.spec.layers = vec![bench.path().join("layer")];
    let neighbours = tempfile::NamedTempFile::new_in("/tmp").expect("a file");
    let first = bench.result(r#"{"file":"a","mb":1}"#).await;
    let id = || bench.functions.list()[0].environments[0].id.clone();
    let folder = bench.path().join(".dropwire/environments").join(id());
    assert_eq!((&first[1], &first[5]), (&serde_json::json!(folder.join("tmp")), &first[1]));
    assert_eq!(first[4], "of the layer");
    // It is a plain folder, and /tmp is the one of the machine.
    assert!(folder.join("tmp/a").is_file());
    let name = neighbours.path().file_name().expect("a name").to_string_lossy().into_owned();
    assert!(first[2].as_array().is_some_and(|names| names.contains(&Value::from(name))), "{first}");
    // It outlives a crash, and is another one with the next environment.
    bench.failure(r#"{"file":"b","mb":1,"crash":true}"#).await;
    assert_eq!(bench.result(r#"{"file":"b"}"#).await[0], true);
    let full = bench.reply(r#"{"file":"c","mb":9}"#).await;
    assert!(full.report.log.contains("and 4 MB are the most"), "{}", full.report.log);
    let next = bench.result(r#"{"file":"a"}"#).await;
    assert_eq!(next[0], false, "{next}");
    assert_ne!(next[1], first[1]);
    assert!(!folder.exists(), "the one that held too much has ended");
    bench.functions.stop().await;
}

#[tokio::test]
async fn layers_cannot_be_written() {
    if !installed("python3") || !have_rooms() || !Path::new("/opt").is_dir() {
        return;
    }
    let code = "def handler(event, context):\n    try: open('/opt/there', 'w')\n    \
        except OSError as error: return error.strerror\n";
    let mut bench = Bench::handler("python3.12", "app.handler", ("app.py", code));
    bench.write("layer/there", "kept");
    bench.spec.layers = vec![bench.path().join("layer")];
    assert_eq!(bench.result("1").await, "Read-only file system");
    bench.functions.stop().await;
}

#[tokio::test]
async fn what_a_killed_dropwire_left_is_swept() {
    let bench = Bench::script("true");
    let state = bench.path().join("old");
    std::fs::create_dir_all(state.join("environments/left/tmp")).expect("made");
    let (clock, timeline) = (Clock::system(), Timeline::default());
    let _functions = Functions::new(Place::default(), clock, timeline, Random::seeded(1), state.clone());
    until("it is swept", || {
        !state.join("environments").exists() && !state.join("environments.gone").exists()
    })
    .await;
}
