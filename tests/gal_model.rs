//! Generate–Annotate–Learn with a model file, killed again and again: what comes out are the same bytes.

mod folder;

use std::process::Stdio;
use std::time::{Duration, Instant};

use folder::{Folder, gal, model};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Its stages, and what each leaves.
fn stages(output: &str) -> [String; 2] {
    [
        format!("{} --reproducible", gal::generate(&model(), output)),
        format!("gal annotate {output} --model {} --task category,ad --samples 2 --reproducible", model()),
    ]
}

/// The rest, which nobody has time to kill.
fn rows(folder: &Folder, output: &str) -> [Vec<u8>; 3] {
    folder.succeeds(&format!("gal filter {output} --confidence 0 --agreement 0"));
    folder.succeeds(&format!("gal build {output} --real real.jsonl --ratio 0.1 --output {output}.jsonl"));
    [format!("{output}/candidates.jsonl"), format!("{output}/rows.jsonl"), format!("{output}.jsonl")]
        .map(|name| folder.bytes(&name))
}

#[test]
fn killed_at_random_moments_a_model_file_makes_the_same_rows() {
    let folder = Folder::new();
    gal::write(&folder);
    let seconds = stages("whole").map(|stage| {
        let started = Instant::now();
        folder.succeeds(&stage);
        started.elapsed().as_secs_f64()
    });
    let whole = rows(&folder, "whole");
    assert!(String::from_utf8_lossy(&whole[2]).matches("\"synthetic\":true").count() == 2);
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut killed = 0;
    for kill in 0..20 {
        // Half of them while it writes, half while it labels.
        let (at, output) = (kill % 2, format!("killed{kill}"));
        for (stage, command) in stages(&output).iter().enumerate() {
            if stage == at {
                let share = f64::from(random.next_u32()) / f64::from(u32::MAX);
                let mut run = folder.command(command).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
                std::thread::sleep(Duration::from_secs_f64(seconds[stage] * share));
                killed += usize::from(run.try_wait().unwrap().is_none());
                run.kill().unwrap();
                run.wait().unwrap();
            }
            folder.succeeds(&format!("{command} --width {}", 1 + kill % 5));
        }
        assert!(rows(&folder, &output) == whole, "kill {kill}");
    }
    assert!(killed >= 10, "only {killed} runs were killed before their end");
}
