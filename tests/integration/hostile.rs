//! Hostile input: whatever it is made of, twice as much of it costs no parser much more than twice the time.

use std::hint::black_box;
use std::path::Path;

use campaign_exporter::catalog::Protocol;
use campaign_exporter::parse::core_pattern::CorePattern;
use campaign_exporter::parse::line::{LineReader, Memory, tracking_line_is_good};
use campaign_exporter::parse::tail::{Fingerprint, Position};
use campaign_exporter::parse::{
    cmdline, conf, copies, customer, diag, process, reply, sockets, sysvipc, targets, variables, webconfig,
};
use rustix::time::{ClockId, clock_gettime};

/// What twice the input may cost; a parser of quadratic time costs four times as much.
const MOST: f64 = 2.5;

/// What is measured takes at least so long: 5 ms.
const ENOUGH_NANOSECONDS: u64 = 5_000_000;

/// The smallest input; what a parser reads of it is bounded elsewhere.
const SMALLEST: usize = 16 * 1024;

/// Other programs disturb a measurement: the parser has to pass one of so many.
const TRIES: usize = 8;

/// A parser: its name, and what it does with bytes.
type Parser = (&'static str, fn(&[u8]));

/// Keeps the compiler from leaving out what gave `value`.
fn used<T>(value: T) {
    let _ = black_box(value);
}

const PARSERS: [Parser; 19] = [
    ("arguments", |bytes| used((cmdline::parse(bytes), cmdline::is_campaigns(bytes)))),
    ("configuration", |bytes| used(conf::ServerConf::parse(bytes))),
    ("instance name", |bytes| {
        used(copies::original_of(&String::from_utf8_lossy(bytes), |name| name.len() == 1));
    }),
    ("core pattern", |bytes| {
        if let CorePattern::Files(path) = CorePattern::parse(bytes, true) {
            used(path.names.iter().filter(|name| name.matches(bytes, b"nlserver")).count());
        }
    }),
    ("customer.sh", |bytes| used(customer::exported(bytes, "XTK_VAR_DIR", &mut |_| customer::Sourced::Unknown))),
    ("netlink", |bytes| used(diag::listeners(bytes, Protocol::Tcp, 1, &[8080], &mut Vec::new()))),
    ("log line", |bytes| {
        let mut reader = LineReader::new(Memory::default());
        used(reader.read(bytes));
        bytes.split(|byte| *byte == b'\n').for_each(|line| used(reader.read(line)));
    }),
    ("tracking line", |bytes| {
        used(tracking_line_is_good(bytes));
    }),
    ("tail", |bytes| {
        let mut position = Position::default();
        position.feed(bytes, 65_536, &mut used);
        used(Fingerprint::of(bytes));
    }),
    ("process", |bytes| {
        used((process::stat(bytes), process::credentials(bytes), process::io(bytes)));
        used((process::open_files_limit(bytes), process::boot_time(bytes), process::last_pid(bytes)));
        used((process::variable(bytes, b"XTK_VAR_DIR"), process::attached_segments(bytes).count()));
    }),
    ("redirection", |bytes| used(reply::redirection(bytes, None))),
    ("ping", |bytes| used(reply::ping(bytes, None))),
    ("Message Center", |bytes| used(reply::message_center(bytes, None))),
    ("pipelined", |bytes| used(reply::pipelined(bytes, None))),
    ("indicators", |bytes| used(reply::indicators(bytes, None))),
    ("socket table", |bytes| {
        let mut table = sockets::Table::new(Protocol::Udp, &[6666]);
        table.feed(bytes);
        table.end();
        used(table.broken());
    }),
    ("shared memory", |bytes| used(sysvipc::segments(bytes))),
    ("variables", |bytes| used(variables::expand(&String::from_utf8_lossy(bytes), |_| Some(b"value")))),
    ("configuration files of the exporter", |bytes| {
        let path = Path::new("config.yml");
        used((targets::read(bytes, path), webconfig::read(bytes, path)));
    }),
];

/// What hostile input is made of: a beginning, what is repeated, and an end.
const INPUTS: [(&str, &str, &str); 26] = [
    ("", "a", ""),
    ("", " ", ""),
    ("", "\t", ""),
    ("", "\n", ""),
    ("", "\0", ""),
    ("", "\r", ""),
    ("", "=", ""),
    ("", "\\", ""),
    ("", "'\"", ""),
    ("", "$(A)", ""),
    ("", "${A", ""),
    ("", "%e.", ""),
    ("", "-a:", ""),
    ("", "export XTK_VAR_DIR=/a\n", ""),
    ("export XTK_VAR_DIR=\"", "$XTK_VAR_DIR", "\""),
    ("", "2021-05-31T08:42:18.124Z\t1\t1\t1\terror\tlog\tINT-150012 xtk:session errno=18 ", "\n"),
    ("", "0x1\t", "\n"),
    ("", "<a>", ""),
    ("<a ", "b='' ", "/>"),
    ("<a ", "xmlns:b='c' ", "/>"),
    ("<serverconf>", "<mta autoStart='x' maxMemoryMb='1 '/>", "</serverconf>"),
    ("<serverconf><!--", "- =\"", "--></serverconf>"),
    ("<redir status='", "&amp;", "'/>"),
    ("", "[", ""),
    ("", "{\"a\":", "1"),
    ("a: ", "[&a a, *a, ", ""),
];

fn input((beginning, repeated, end): (&str, &str, &str), size: usize) -> Vec<u8> {
    [beginning, &repeated.repeat(size / repeated.len()), end].concat().into_bytes()
}

/// The processor's time that `parser` takes for `times` readings of `bytes`, in nanoseconds: of this thread alone.
fn cost(parser: fn(&[u8]), bytes: &[u8], times: u32) -> u64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        u64::try_from(time.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap()
    };
    let began = now();
    (0..times).for_each(|_| parser(black_box(bytes)));
    now() - began
}

/// How much more the parser takes for twice the input. Tries differ in size: a cache that only the smaller input fits into
/// makes one size look dear, a parser that is not linear is dear with each.
fn ratio(parser: fn(&[u8]), shape: (&str, &str, &str), attempt: usize) -> f64 {
    let size = SMALLEST << (attempt % 4);
    let (one, two) = (input(shape, size), input(shape, 2 * size));
    let once = cost(parser, &one, 1).max(1);
    let times = u32::try_from(ENOUGH_NANOSECONDS / once).unwrap().clamp(1, 1_000);
    #[expect(clippy::cast_precision_loss, reason = "some milliseconds")]
    let ratio = cost(parser, &two, times) as f64 / cost(parser, &one, times).max(1) as f64;
    ratio
}

#[test]
fn a_parser_of_quadratic_time_is_found() {
    fn quadratic(bytes: &[u8]) {
        used(bytes.iter().step_by(32).map(|one| bytes.iter().filter(|other| one == *other).count()).sum::<usize>());
    }
    assert!((0..TRIES).any(|attempt| ratio(quadratic, ("", "ab", ""), attempt) > MOST));
}

#[test]
fn twice_the_hostile_input_costs_no_parser_much_more_than_twice_the_time() {
    let mut slow = Vec::new();
    for (name, parser) in PARSERS {
        for shape in INPUTS {
            let mut ratios = (0..TRIES).map(|attempt| ratio(parser, shape, attempt));
            if !ratios.any(|ratio| ratio <= MOST) {
                slow.push(format!("{name}: {shape:?}"));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}
