//! Resumption of an interrupted run: repair of its records, and the check that the program, the
//! machine and the servers are the same.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use csv::ByteRecord;

use bench_data::record::environment::Environment;
use bench_data::record::environment::TargetInfo;
use bench_data::record::rows::FILES;

/// Removes incomplete records: a line without its end, and lines of a trial that has no row. Returns
/// the number of removed lines.
///
/// # Errors
/// A file cannot be read or written, or does not contain records.
pub fn mend(folder: &Path) -> anyhow::Result<usize> {
    let [trials, others @ ..] = FILES;
    let (kept, mut removed) = mend_file(&folder.join(trials), |_| true)?;
    let whole: HashSet<Vec<u8>> =
        kept.iter().filter_map(|row| Some(row.get(0)?.to_vec())).collect();
    for file in others {
        let is_of_whole = |row: &ByteRecord| row.get(0).is_some_and(|trial| whole.contains(trial));
        removed += mend_file(&folder.join(file), is_of_whole)?.1;
    }
    Ok(removed)
}

/// Keeps the complete, wanted lines; returns them and the number of removed ones. A complete file is
/// not touched.
fn mend_file(
    path: &Path,
    wanted: impl Fn(&ByteRecord) -> bool,
) -> anyhow::Result<(Vec<ByteRecord>, usize)> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let ends_whole = bytes.last().is_none_or(|last| *last == b'\n');
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes.as_slice());
    let header = reader.byte_headers()?.clone();
    let mut rows: Vec<ByteRecord> = reader.byte_records().collect::<Result<_, _>>()?;
    let all = rows.len();
    if !ends_whole {
        rows.pop();
    }
    rows.retain(|row| row.len() == header.len() && wanted(row));
    let removed = all - rows.len();
    if removed > 0 {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_byte_record(&header)?;
        for row in &rows {
            writer.write_byte_record(row)?;
        }
        // Atomic, in case this process is killed as well.
        let beside = path.with_extension("mended");
        fs::write(&beside, writer.into_inner()?)
            .and_then(|()| fs::rename(&beside, path))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok((rows, removed))
}

/// Checks that results of now are comparable with those of then.
///
/// # Errors
/// The differences in program, machine or cores.
pub fn check_same(then: &Environment, now: &Environment) -> anyhow::Result<()> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "unknown".to_owned());
    let listed = |cores: &[usize]| format!("{cores:?}");
    let limit = |environment: &Environment| {
        environment.conditions.wake_up_limit_us.map_or("none".to_owned(), |limit| limit.to_string())
    };
    let (old, new) = (&then.machine, &now.machine);
    let pairs = [
        ("schema", then.schema.to_string(), now.schema.to_string()),
        ("version", then.version.clone(), now.version.clone()),
        ("revision", text(&then.revision), text(&now.revision)),
        ("optimised", then.optimised.to_string(), now.optimised.to_string()),
        ("compiler", text(&then.compiler), text(&now.compiler)),
        ("processor", text(&old.processor), text(&new.processor)),
        ("cores", old.cores.to_string(), new.cores.to_string()),
        ("kernel", old.kernel.clone(), new.kernel.clone()),
        ("limit of the wake-up of idle cores in µs", limit(then), limit(now)),
        ("congestion control", text(&old.congestion_control), text(&new.congestion_control)),
        ("server cores", listed(&then.placement.server_cores), listed(&now.placement.server_cores)),
        (
            "generator cores",
            listed(&then.placement.generator_cores),
            listed(&now.placement.generator_cores),
        ),
        (
            "file system of the disk",
            text(&then.placement.disk_file_system),
            text(&now.placement.disk_file_system),
        ),
        ("file system", then.placement.file_system.clone(), now.placement.file_system.clone()),
    ];
    refuse(
        pairs
            .into_iter()
            .filter(|(_, then, now)| then != now)
            .map(|(what, then, now)| format!("{what} was {then} and is {now}")),
    )
}

/// Checks that the servers have the same versions.
///
/// # Errors
/// The servers whose versions differ.
pub fn check_same_servers(then: &[TargetInfo], now: &[TargetInfo]) -> anyhow::Result<()> {
    let version =
        |target: &TargetInfo| target.version.clone().unwrap_or_else(|| "unknown".to_owned());
    refuse(then.iter().filter_map(|old| {
        let new = now.iter().find(|new| new.name == old.name)?;
        (new.version != old.version)
            .then(|| format!("{} was {} and is {}", old.name, version(old), version(new)))
    }))
}

fn refuse(differences: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let differences: Vec<_> = differences.collect();
    ensure!(
        differences.is_empty(),
        "cannot resume this run, because its parts would not be comparable: {}; start a new run",
        differences.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::cores::Cores;
    use bench_data::record::rows::{RecordWriter, Records};

    fn written() -> (tempfile::TempDir, Records) {
        let folder = tempfile::tempdir().unwrap();
        let records = bench_data::mock::records();
        RecordWriter::open(folder.path()).unwrap().append(&records).unwrap();
        (folder, records)
    }

    fn add(folder: &Path, file: usize, text: &str) {
        let path = folder.join(FILES[file]);
        let mut content = fs::read(&path).unwrap();
        content.extend(text.as_bytes());
        fs::write(path, content).unwrap();
    }

    #[test]
    fn whole_records_are_left_as_they_are() {
        let (folder, records) = written();
        assert_eq!(mend(folder.path()).unwrap(), 0);
        assert_eq!(Records::read(folder.path()).unwrap(), records);
    }

    #[test]
    fn a_line_that_was_cut_off_goes_wherever_the_cut_is() {
        let (folder, records) = written();
        let path = folder.path().join(FILES[0]);
        let whole = fs::read_to_string(&path).unwrap();
        let before = whole.trim_end().rfind('\n').unwrap() + 1;
        let last = records.trials.last().unwrap().trial;
        for cut in [1, 10, whole.len() - before - 1] {
            let (folder, mut records) = (written().0, records.clone());
            fs::write(folder.path().join(FILES[0]), &whole[..before + cut]).unwrap();
            assert!(mend(folder.path()).unwrap() > 1, "its other lines go, too");
            records.trials.pop();
            records.latencies.retain(|row| row.trial != last);
            records.seconds.retain(|row| row.trial != last);
            assert_eq!(Records::read(folder.path()).unwrap(), records, "cut after {cut}");
        }
    }

    #[test]
    fn lines_of_a_trial_that_has_no_row_go() {
        let (folder, records) = written();
        add(folder.path(), 1, "9999,response,50,12.5\n9999,resp");
        add(folder.path(), 2, "9999,0,1,1,0,");
        assert_eq!(mend(folder.path()).unwrap(), 3);
        assert_eq!(Records::read(folder.path()).unwrap(), records);
    }

    #[test]
    fn another_program_or_machine_is_refused_by_name() {
        let here = || {
            crate::machine::facts::survey("bench".into(), 1, &Cores::default(), Path::new("/tmp"))
        };
        let (then, mut now) = (here(), here());
        check_same(&then, &now).unwrap();
        now.machine.cores += 2;
        now.revision = Some("0123456789ab".to_owned());
        let message = check_same(&then, &now).unwrap_err().to_string();
        assert!(message.contains("revision was "), "{message}");
        assert!(message.contains("and is 0123456789ab"), "{message}");
        assert!(message.contains(&format!("cores was {} and is", then.machine.cores)), "{message}");
        now = here();
        now.machine.host += "-renamed";
        check_same(&then, &now).unwrap();
    }
}
