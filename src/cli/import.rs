//! `genetrail import`: a file of records over one stream, many on their way at once. A refused line is
//! reported and the others go on; a server that goes away is waited for; and because a record id is
//! idempotent, whatever was interrupted is simply run again.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use ed25519_dalek::SigningKey;
use indicatif::ProgressBar;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{
    Outcome,
    client::{self, Connection, Server},
    complain, keys, progress,
    record::{key_of_server, submission},
    record_json,
    rejection::{Meaning, Rejection},
    say,
};
use crate::pb::{
    self, record_stream_response::Outcome as Answer,
    recording_service_client::RecordingServiceClient,
};

/// Records that may wait for their answer. Each is at most 65,535 bytes, so at most 64 MiB wait.
const WINDOW: usize = 1_024;

/// A record of 65,535 bytes is at most four times as long in JSON, and names come on top.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// How long to go on without a single answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is said of a server that takes longer than that.
const SILENT: &str = "the server does not answer";

/// The pauses between tries grow from this, doubling, to the other.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The file: a Record in proto3 JSON on each line. - for standard input.
    #[arg(value_name = "FILE.ndjson")]
    file: PathBuf,
    /// Sign each record with this author's key.
    #[arg(long, value_name = "KEY.pem")]
    sign: Option<PathBuf>,
    /// With --sign: the log's verifier key, or its file. Without it, the server is asked and believed.
    #[arg(long, value_name = "VKEY|FILE", requires = "sign")]
    key: Option<String>,
    #[command(flatten)]
    server: Server,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Outcome> {
    let author = arguments.sign.as_deref().map(keys::read).transpose()?;
    let key = arguments
        .key
        .as_deref()
        .map(keys::verifier_key)
        .transpose()?;
    let (lines, bar) = open(&arguments.file)?;
    arguments.server.call(async |connection| {
        let author = match (author, key) {
            (None, _) => None,
            (Some(author), Some(key)) => Some((author, key)),
            (Some(author), None) => Some((author, key_of_server(connection.clone()).await?)),
        };
        let author = author.map(|(author, key)| (author, key.name().to_string()));
        let mut import = Import {
            lines,
            more: true,
            author,
            waiting: VecDeque::new(),
            deadline: Instant::now() + PATIENCE,
            tally: Tally::default(),
            bar,
        };
        import.run(client::recording(connection)).await?;
        import.bar.finish_and_clear();
        import.tally.report()
    })
}

/// A line that was read.
struct Line {
    number: u64,
    /// The bytes of the file up to its end.
    end: u64,
    /// What it says, or why it cannot be used.
    text: anyhow::Result<String>,
}

/// A record on its way.
struct Item {
    line: u64,
    end: u64,
    submission: pb::Submission,
}

/// Why a stream ended.
enum End {
    /// Every line has its answer.
    Done,
    /// The server went away, or asks to come again.
    Lost(Box<Rejection>),
}

struct Import {
    lines: mpsc::Receiver<Line>,
    /// Whether more lines may come.
    more: bool,
    author: Option<(SigningKey, String)>,
    /// The records that have no answer yet, in the order of the file.
    waiting: VecDeque<Item>,
    /// Until when an answer to the first that waits must have come.
    deadline: Instant,
    tally: Tally,
    bar: ProgressBar,
}

impl Import {
    async fn run(&mut self, mut client: RecordingServiceClient<Connection>) -> anyhow::Result<()> {
        let mut pause = PAUSE_MIN;
        loop {
            let answered = self.tally.answered();
            let lost = match self.stream(&mut client).await? {
                End::Done => return Ok(()),
                End::Lost(lost) => lost,
            };
            if answered < self.tally.answered() {
                pause = PAUSE_MIN;
            }
            if self.waiting.is_empty() {
                continue;
            }
            if self.deadline < Instant::now() + pause {
                let (seconds, recorded) = (PATIENCE.as_secs(), self.tally.recorded);
                return Err(*lost).with_context(|| {
                    format!("no answer for {seconds} seconds, after {recorded} records; run it again to go on")
                });
            }
            tokio::time::sleep(pause).await;
            pause = PAUSE_MAX.min(pause * 2);
        }
    }

    /// Sends what waits and what the file still has, until all is answered or the stream breaks.
    async fn stream(
        &mut self,
        client: &mut RecordingServiceClient<Connection>,
    ) -> anyhow::Result<End> {
        // Whoever writes into a pipe may take their time; the server is called when there is something.
        while self.more && self.waiting.is_empty() {
            let line = self.lines.recv().await;
            self.read(line)?;
        }
        if self.waiting.is_empty() {
            return Ok(End::Done);
        }
        let (requests, outbound) = mpsc::channel(64);
        let opened = client.record_stream(ReceiverStream::new(outbound));
        let mut answers = match timeout_at(self.deadline, opened).await {
            Ok(Ok(answers)) => answers.into_inner(),
            Ok(Err(status)) => return lost(&status),
            Err(_) => return lost(&Status::unavailable(SILENT)),
        };
        // How many of those that wait were handed to this stream.
        let mut sent = 0;
        while self.more || !self.waiting.is_empty() {
            tokio::select! {
                answer = next(&mut answers) => {
                    let answer = match answer {
                        Ok(answer) => answer,
                        Err(status) => return lost(&status),
                    };
                    ensure!(0 < sent, "the server answered what was not asked");
                    sent -= 1;
                    if let Some(lost) = self.take(answer)? {
                        return Ok(End::Lost(Box::new(lost)));
                    }
                }
                Ok(room) = requests.reserve(), if sent < self.waiting.len() => {
                    let submission = self.waiting.get(sent).map(|item| item.submission.clone());
                    room.send(pb::RecordStreamRequest { submission });
                    sent += 1;
                }
                line = self.lines.recv(), if self.more && sent == self.waiting.len() && sent < WINDOW => {
                    self.read(line)?;
                }
                () = tokio::time::sleep_until(self.deadline), if !self.waiting.is_empty() => {
                    return lost(&Status::unavailable(SILENT));
                }
            }
        }
        Ok(End::Done)
    }

    /// Takes in a line, or the end of the file.
    fn read(&mut self, line: Option<Line>) -> anyhow::Result<()> {
        let Some(Line { number, end, text }) = line else {
            self.more = false;
            return Ok(());
        };
        let record = match text.and_then(|text| record_json::parse(&text)) {
            Ok(record) => record,
            Err(error) if error.is::<io::Error>() => return Err(error),
            Err(error) => {
                self.refused(number, format_args!("{error:#}"));
                return Ok(());
            }
        };
        if self.waiting.is_empty() {
            self.deadline = Instant::now() + PATIENCE;
        }
        let (author, origin) = match &self.author {
            Some((author, origin)) => (Some(author), origin.as_str()),
            None => (None, ""),
        };
        let submission = submission(record.bytes, author, origin);
        self.waiting.push_back(Item {
            line: number,
            end,
            submission,
        });
        Ok(())
    }

    /// Takes in the answer to the first that waits; gives it back where all must be sent again.
    fn take(&mut self, answer: Option<Answer>) -> anyhow::Result<Option<Rejection>> {
        let Some(item) = self.waiting.front() else {
            bail!("an answer is for nothing");
        };
        let (line, end) = (item.line, item.end);
        match answer {
            Some(Answer::Receipt(receipt)) => self.tally.recorded(&receipt.flags),
            Some(Answer::Error(status)) => {
                let rejection = Rejection::from(&status);
                match rejection.meaning() {
                    Meaning::No => self.refused(line, format_args!("{rejection}")),
                    Meaning::Later => return Ok(Some(rejection)),
                    Meaning::Broken => {
                        return Err(rejection).with_context(|| format!("line {line}"));
                    }
                }
            }
            None => bail!("the server answered line {line} with nothing"),
        }
        self.waiting.pop_front();
        self.deadline = Instant::now() + PATIENCE;
        self.bar.set_position(end);
        Ok(None)
    }

    fn refused(&mut self, line: u64, why: std::fmt::Arguments<'_>) {
        self.tally.refused += 1;
        self.bar
            .suspend(|| complain(format_args!("line {line}: REFUSED: {why}")));
    }
}

/// The next answer. A stream that ends has broken: this side has not closed it.
async fn next(answers: &mut Streaming<pb::RecordStreamResponse>) -> Result<Option<Answer>, Status> {
    let answer = answers.message().await?;
    answer
        .map(|answer| answer.outcome)
        .ok_or_else(|| Status::unavailable("the server ended the stream"))
}

/// The end of a stream that broke, if it may be begun again.
fn lost(status: &Status) -> anyhow::Result<End> {
    let rejection = Rejection::from(status);
    match rejection.meaning() {
        Meaning::Later => Ok(End::Lost(Box::new(rejection))),
        Meaning::No | Meaning::Broken => Err(rejection.into()),
    }
}

#[derive(Debug, Default)]
struct Tally {
    recorded: u64,
    refused: u64,
    /// How often each flag was raised. There are as many as the server has rules.
    flags: BTreeMap<String, u64>,
}

impl Tally {
    fn answered(&self) -> u64 {
        self.recorded + self.refused
    }

    fn recorded(&mut self, flags: &[pb::Flag]) {
        self.recorded += 1;
        for flag in flags {
            *self.flags.entry(flag.code.clone()).or_default() += 1;
        }
    }

    fn report(&self) -> anyhow::Result<Outcome> {
        let Self {
            recorded,
            refused,
            flags,
        } = self;
        say!("{recorded} records are in the log, {refused} lines were refused")?;
        for (code, times) in flags {
            say!("flagged {times} times: {code}")?;
        }
        Ok(if *refused == 0 {
            Outcome::Fine
        } else {
            Outcome::No
        })
    }
}

/// Reads the file on a thread of its own, a few lines ahead.
fn open(file: &Path) -> anyhow::Result<(mpsc::Receiver<Line>, ProgressBar)> {
    let (input, bar): (Box<dyn BufRead + Send>, _) = if file == Path::new("-") {
        (
            Box::new(BufReader::new(io::stdin())),
            progress::endless("bytes"),
        )
    } else {
        let shown = file.display();
        let file = File::open(file).with_context(|| format!("cannot read {shown}"))?;
        let length = file
            .metadata()
            .with_context(|| format!("cannot read {shown}"))?
            .len();
        (
            Box::new(BufReader::new(file)),
            progress::bar(length, "bytes"),
        )
    };
    let (lines, receiver) = mpsc::channel(64);
    std::thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || read_lines(input, &lines))
        .context("cannot start a thread")?;
    Ok((receiver, bar))
}

/// Sends on every line that is not blank, until nobody wants more.
fn read_lines(mut input: Box<dyn BufRead + Send>, lines: &mpsc::Sender<Line>) {
    let (mut number, mut end) = (0, 0);
    loop {
        number += 1;
        let text = match read_line(&mut input, &mut end) {
            Ok(None) => return,
            Ok(Some(bytes)) => text_of(bytes),
            Err(error) => Err(error.into()),
        };
        if text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
            continue;
        }
        let last = text.as_ref().is_err_and(anyhow::Error::is::<io::Error>);
        if lines.blocking_send(Line { number, end, text }).is_err() || last {
            return;
        }
    }
}

fn text_of(line: Vec<u8>) -> anyhow::Result<String> {
    if LINE_BYTES_MAX < u64::try_from(line.len())? {
        bail!("the line is longer than {LINE_BYTES_MAX} bytes");
    }
    String::from_utf8(line).context("the line is not UTF-8")
}

/// A line, of which no more than a byte over the limit is kept; `None` at the end.
fn read_line(input: &mut dyn BufRead, end: &mut u64) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = input
        .take(LINE_BYTES_MAX + 1)
        .read_until(b'\n', &mut line)?;
    *end += u64::try_from(read).map_err(io::Error::other)?;
    if read == 0 {
        return Ok(None);
    }
    if !line.ends_with(b"\n") {
        *end += input
            .skip_until(b'\n')
            .and_then(|n| u64::try_from(n).map_err(io::Error::other))?;
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(input: &'static [u8]) -> Vec<(u64, u64, Result<String, String>)> {
        let (lines, mut receiver) = mpsc::channel(64);
        read_lines(Box::new(input), &lines);
        drop(lines);
        let mut all = Vec::new();
        while let Ok(Line { number, end, text }) = receiver.try_recv() {
            all.push((number, end, text.map_err(|error| error.to_string())));
        }
        all
    }

    #[test]
    fn lines_are_numbered_as_in_the_file_and_blank_ones_are_passed_over() {
        let lines = lines_of(b"{}\n\n  \r\n[]\r\n{}");
        let expected = [(1, 3, "{}\n"), (4, 12, "[]\r\n"), (5, 14, "{}")];
        let expected = expected.map(|(number, end, text)| (number, end, Ok(text.to_owned())));
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_line_that_cannot_be_used_does_not_hide_the_next() {
        let mut input = vec![b'x'; 3 << 20];
        input.extend_from_slice(b"\n\xff\n{}\n");
        let lines = lines_of(input.leak());
        assert_eq!(lines.len(), 3);
        assert!(
            lines[0]
                .2
                .as_ref()
                .is_err_and(|error| error.contains("longer"))
        );
        assert!(
            lines[1]
                .2
                .as_ref()
                .is_err_and(|error| error.contains("UTF-8"))
        );
        assert_eq!(lines[2], (3, (3 << 20) + 6, Ok("{}\n".to_owned())));
    }
}
