//! A dropwire that other machines reach: every caller signs with its pair, and nothing is told to anybody else.

use std::path::PathBuf;
use std::process::Command;

use crate::clients::installed;
use crate::program::{Up, dropwire, run, sh};
use crate::simulator::Project;

const PAIR: [(&str, &str); 2] =
    [("DROPWIRE_ACCESS_KEY_ID", "team"), ("DROPWIRE_SECRET_ACCESS_KEY", "a-secret/of+ours")];

#[test]
fn every_service_asks_for_the_pair() {
    let Some(python) = installed("python/bin/python") else { return };
    let project = Project::new(&format!(
        "[bucket.uploads]\n[function.copier]\nexec = \"{} copier.py\"\n",
        python.to_string_lossy()
    ));
    project.write(
        "copier.py",
        "import boto3\nboto3.client('s3').put_object(Bucket='uploads', Key='out.txt', Body=b'from the function')\n",
    );
    let up = Up::start_in(project.root(), &["--port", "0", "--host", "0.0.0.0", "--host", "box.lan"], &PAIR);
    let stories = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python/guarded_stories.py");
    let variables = sh(project.root(), &format!("{} env --dotenv", env!("CARGO_BIN_EXE_dropwire")));
    let variables = variables.lines().filter_map(|line| line.split_once('='));
    let told = Command::new(python)
        .arg(stories)
        .arg(format!("http://{}", up.door().0))
        .envs(variables)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&told.stdout);
    assert!(said.contains("told to the end"), "{said}\n{}", String::from_utf8_lossy(&told.stderr));
    // The command line has the token, and reads as before.
    assert_eq!(up.ask(&["status"])["outside"], format!("box.lan:{}", up.port()));
    up.down();
}

#[test]
fn nobody_is_let_in_without_a_pair() {
    let project = Project::new("[bucket.uploads]\n");
    let (code, _, stderr) = run(project.root(), &["up", "--port", "0", "--host", "0.0.0.0"]);
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("W502") && stderr.contains("DROPWIRE_SECRET_ACCESS_KEY"), "{stderr}");
    let half = dropwire(project.root(), &["up", "--port", "0"]).envs([PAIR[0]]).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&half.stderr);
    assert!(!half.status.success() && stderr.contains("W504") && stderr.contains("only one"), "{stderr}");
}

/// The secret is neither on the command line nor in what everybody may read.
#[test]
fn the_secret_stays_in_the_environment() {
    let project = Project::new("[bucket.uploads]\n");
    let mut start = dropwire(project.root(), &["up", "--detach", "--port", "0", "--host", "0.0.0.0"]);
    let started = start.envs(PAIR).output().expect("it runs");
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let shown = sh(
        project.root(),
        "ls -l .dropwire/running.json; cat .dropwire/up.log; pid=$(sed 's/.*\"pid\": *//; s/,.*//' .dropwire/running.json \
         | tr -dc 0-9); ps -o args= -p $pid",
    );
    let (code, stdout, stderr) = run(project.root(), &["down"]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(shown.contains("--host 0.0.0.0") && shown.contains("-rw------- "), "{shown}");
    assert!(!shown.contains(PAIR[1].1), "{shown}");
}
