//! Jobs: what is backed up together, when, and how long it stays.

use super::{
    file::JobTable,
    keep,
    layer::Layer,
    mistake::{Complaint, Shown},
    origin::{Given, Origin},
    reader::{Read, Reader, Refused},
    register::{EXCLUDE, INCLUDE, KEEPING, SCHEDULE},
    settings::{guess, understand},
    sources::{self, Selection},
    wake,
};
use chrono_tz::Tz;
use lifeboat_plan::{KeepRules, Name, Schedule};

/// Without any `[[job]]` there is one, named `default`, under the plain name.
#[derive(Debug, Clone)]
pub struct JobConfig {
    pub name: Name,
    /// The name of its backups, and so what keeps them apart from those of another job.
    pub backups: Name,
    pub schedule: Schedule,
    pub sources: Selection,
    pub keep: KeepRules,
    /// A service asks for it; the configuration knows nothing of it.
    pub of_label: bool,
}

/// `name` is missing when it was refused; the jobs are looked at all the same.
pub(super) fn read(
    name: Read<&Name>,
    zone: Read<Tz>,
    tables: Vec<JobTable>,
    reader: &mut Reader<'_>,
) -> Read<Vec<JobConfig>> {
    // Read even where every job has its own: a mistake in them is a mistake.
    let common = rules(zone, reader);
    if tables.is_empty() {
        let (schedule, sources, keep) = common?;
        let job = JobConfig {
            name: DEFAULT.parse().map_err(|_| Refused)?,
            backups: name?.clone(),
            schedule,
            sources,
            keep,
            of_label: false,
        };
        return Ok(vec![job]);
    }
    let mut jobs: Vec<Read<JobConfig>> = Vec::new();
    for table in tables {
        let taken = |job: &Name| {
            jobs.iter()
                .any(|other| matches!(other, Ok(other) if other.name == *job))
        };
        let job = job(name, zone, table, &taken, reader);
        jobs.push(job);
    }
    common?;
    jobs.into_iter().collect()
}

const DEFAULT: &str = "default";

fn job(
    name: Read<&Name>,
    zone: Read<Tz>,
    table: JobTable,
    taken: &dyn Fn(&Name) -> bool,
    reader: &mut Reader<'_>,
) -> Read<JobConfig> {
    let mut own_name = None;
    let mut entries = Vec::new();
    let mut sound = Ok(());
    for (key, given) in table.entries {
        match key.as_str() {
            "name" => own_name = Some(given),
            key if may_differ(key) => entries.push((key.to_owned(), given)),
            key => sound = Err(not_of_a_job(key, &given, reader)),
        }
    }
    let own_name = job_name(own_name, &table.origin, taken, reader)?;
    let own = Layer::settle("job", entries, reader.report);
    let mut own_reader = reader.for_job(own_name.as_str(), &own);
    let rules = rules(zone, &mut own_reader);
    let effective = own_reader.effective;
    let written: Vec<String> = own
        .values
        .keys()
        .map(|key| format!("job.{own_name}.{key}"))
        .collect();
    reader
        .effective
        .extend(effective.into_iter().filter(|e| written.contains(&e.name)));

    sound?;
    let (schedule, sources, keep) = rules?;
    Ok(JobConfig {
        backups: backups_name(name?, &own_name, &table.origin, reader)?,
        name: own_name,
        schedule,
        sources,
        keep,
        of_label: false,
    })
}

type Rules = (Schedule, Selection, KeepRules);

fn rules(zone: Read<Tz>, reader: &mut Reader<'_>) -> Read<Rules> {
    let schedule = wake::read_schedule(zone, reader);
    let sources = sources::read_selection(reader);
    let keep = keep::read(reader);
    Ok((schedule?, sources?, keep?))
}

/// What a job may say for itself; the rest holds for the whole program.
fn may_differ(key: &str) -> bool {
    let own = [&SCHEDULE, &INCLUDE, &EXCLUDE]
        .into_iter()
        .chain(KEEPING.iter().copied());
    own.into_iter().any(|setting| setting.key == key)
}

fn not_of_a_job(key: &str, given: &Given, reader: &mut Reader<'_>) -> Refused {
    let complaint = match understand(key) {
        Some(_) => Complaint::new(
            "holds for the whole program and cannot differ between jobs",
            "write it above the first [[job]], or in the environment",
        ),
        None => {
            let hint = match guess(key).filter(|key| may_differ(key)) {
                Some(key) => format!("did you mean {key}?"),
                None => "a job has name, schedule, sources, exclude, and what \"What stays\" lists"
                    .to_owned(),
            };
            Complaint::new("there is no such setting of a job", hint)
        }
    };
    reader
        .report
        .mistake(&given.written, Shown::Nothing, &given.origin, complaint);
    Refused
}

fn job_name(
    given: Option<Given>,
    origin: &Origin,
    taken: &dyn Fn(&Name) -> bool,
    reader: &mut Reader<'_>,
) -> Read<Name> {
    let Some(given) = given else {
        let complaint = Complaint::new("the job has no name", "write name = \"files\" in it");
        reader
            .report
            .mistake("[[job]]", Shown::Nothing, origin, complaint);
        return Err(Refused);
    };
    let text = given.raw.to_string();
    let complaint = match text.parse::<Name>() {
        Ok(name) if !taken(&name) => return Ok(name),
        Ok(_) => Complaint::new("another job has that name", "give each job its own"),
        Err(_) => Complaint::new(
            "cannot be the name of a job",
            "use letters, digits, - and _, a letter or digit first",
        ),
    };
    let value = Shown::Text(text);
    reader
        .report
        .mistake(&given.written, value, &given.origin, complaint);
    Err(Refused)
}

fn backups_name(name: &Name, job: &Name, origin: &Origin, reader: &mut Reader<'_>) -> Read<Name> {
    format!("{name}-{job}").parse().map_err(|_| {
        let complaint = Complaint::new(
            format!("{name}-{job} is too long for the name of a backup"),
            "take a shorter name for the job, 64 letters together",
        );
        reader
            .report
            .mistake("[[job]]", Shown::Nothing, origin, complaint);
        Refused
    })
}
