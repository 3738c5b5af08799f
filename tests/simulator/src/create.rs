//! Lays out a simulated installation: `bin/ conf/ var/ tomcat-8/ customer.sh` as the product has them (facts.md,
//! Processes and Configuration), and the simulator's own settings beside them. Starts nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::Path;

use crate::catalogue::{RESIDENTS, Scope};
use crate::error::{Error, Result};
use crate::home::{Home, VAR_DIR};
use crate::memory;

/// Free ports are looked for here: below the range that the system gives to outgoing connections.
const PORTS: Range<u16> = 10_000..32_000;

/// The options of `create`.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) instances: Vec<String>,
    /// The modules of an instance that start automatically.
    pub(crate) autostart: Vec<String>,
    pub(crate) web: u16,
    pub(crate) control: u16,
    pub(crate) stat: u16,
    pub(crate) syslog: u16,
    pub(crate) pipelined: u16,
    /// Where free ports are looked for.
    pub(crate) among: Range<u16>,
    /// Where `XTK_VAR_DIR` moves `var`.
    pub(crate) var: Option<String>,
    /// Lines of `simulator.conf`.
    pub(crate) settings: Vec<(String, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            instances: vec!["prod".to_owned()],
            autostart: ["mta", "stat", "inMail", "wfserver"].map(str::to_owned).to_vec(),
            web: 8080,
            control: 8005,
            stat: 7777,
            syslog: 6666,
            pipelined: 7781,
            among: PORTS,
            var: None,
            settings: Vec::new(),
        }
    }
}

/// Reads the options of `create HOME …`.
///
/// # Errors
/// When an option is unknown or its value is none.
pub(crate) fn plan(args: &[String]) -> Result<Plan> {
    let mut plan = Plan::default();
    let mut args = args.iter();
    while let Some(option) = args.next() {
        let (option, value) = match option.split_once('=') {
            Some((option, value)) => (option, value.to_owned()),
            None => {
                (option.as_str(), args.next().cloned().ok_or_else(|| Error::Usage(format!("{option} needs a value")))?)
            }
        };
        let names = || value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        let port = || value.parse().map_err(|_| Error::Usage(format!("{option}: '{value}' is not a port")));
        match option {
            "--instances" => plan.instances = names(),
            "--autostart" => plan.autostart = names(),
            "--web-port" => plan.web = port()?,
            "--control-port" => plan.control = port()?,
            "--stat-port" => plan.stat = port()?,
            "--syslog-port" => plan.syslog = port()?,
            "--pipelined-port" => plan.pipelined = port()?,
            "--ports" => {
                if value != "0" {
                    let range =
                        value.split_once('-').and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
                    let range = range.filter(|range: &Range<u16>| !range.is_empty());
                    plan.among = range.ok_or_else(|| Error::Usage("--ports 0, or --ports FIRST-END".to_owned()))?;
                }
                (plan.web, plan.control, plan.stat, plan.syslog, plan.pipelined) = (0, 0, 0, 0, 0);
            }
            "--var-dir" => plan.var = Some(value),
            "--owner-pid" => {
                let start = memory::start_time(&value);
                let start = start.ok_or_else(|| Error::Usage(format!("no process has the number {value}")))?;
                plan.settings.push(("owner".to_owned(), format!("{value}:{start}")));
            }
            "--set" => {
                let (key, value) = value.split_once('=').ok_or_else(|| Error::Usage("--set KEY=VALUE".to_owned()))?;
                plan.settings.push((key.to_owned(), value.to_owned()));
            }
            other => return Err(Error::Usage(format!("create does not know {other}"))),
        }
    }
    Ok(plan)
}

/// Ports that are chosen for one installation.
#[derive(Debug, Default)]
struct Chosen {
    among: Range<u16>,
    taken: BTreeSet<u16>,
    file: String,
}

impl Chosen {
    /// The port itself, or a free one for 0; noted under `name`.
    fn port(&mut self, name: &str, wanted: u16) -> Result<u16> {
        let port = if wanted == 0 { self.free()? } else { wanted };
        self.taken.insert(port);
        // Writing to a string cannot fail.
        writeln!(self.file, "{name}={port}").ok();
        Ok(port)
    }

    fn free(&self) -> Result<u16> {
        let random = RandomState::new();
        for attempt in 0..10_000_u32 {
            let width = u64::from(self.among.end - self.among.start);
            let port = self.among.start + u16::try_from(random.hash_one(attempt) % width).unwrap_or(0);
            let here = (Ipv4Addr::LOCALHOST, port);
            if !self.taken.contains(&port) && TcpListener::bind(here).is_ok() && UdpSocket::bind(here).is_ok() {
                return Ok(port);
            }
        }
        Err(Error::Refused("no port is free".to_owned()))
    }
}

/// Lays out the installation and returns the ports, `key=value` lines.
///
/// # Errors
/// When a file cannot be written, or no port is free.
pub(crate) fn create(home: &Home, plan: &Plan) -> Result<String> {
    fs::create_dir_all(home.root()).map_err(|source| Error::io(home.root(), source))?;
    let variables = plan.var.as_ref().map(|folder| format!("export {VAR_DIR}={folder}\n")).unwrap_or_default();
    write(&home.root().join("customer.sh"), CUSTOMER_SH.to_owned() + &variables)?;
    // It says where `var` is.
    let home = &Home::at(home.root())?;
    let mut folders = vec![home.bin(), home.conf(), home.run().join("answers"), home.root().join("tomcat-8/conf")];
    for instance in plan.instances.iter().map(String::as_str).chain(["default"]) {
        folders.extend(["log", "redir/log", "redir/url", "mta"].map(|name| home.instance(instance).join(name)));
    }
    for folder in folders {
        fs::create_dir_all(&folder).map_err(|source| Error::io(&folder, source))?;
    }
    let exe = std::env::current_exe().map_err(|source| Error::io("/proc/self/exe", source))?;
    for link in [home.nlserver(), home.simulator()] {
        link_or_copy(&exe, &link)?;
    }

    let mut ports = Chosen { among: plan.among.clone(), ..Chosen::default() };
    let (web, control) = (ports.port("web.httpPort", plan.web)?, ports.port("web.controlPort", plan.control)?);
    let syslog = ports.port("syslogd.port", plan.syslog)?;
    write(&home.conf().join("serverConf.xml"), server_conf(web, control, plan.var.is_none()))?;
    write(&home.conf().join("config-default.xml"), DEFAULT_CONF)?;
    for (index, instance) in (0..).zip(&plan.instances) {
        // One after the other from a given number; each a free one otherwise.
        let next = |first: u16| {
            if first == 0 { 0 } else { first.saturating_add(index) }
        };
        let stat = ports.port(&format!("stat@{instance}.port"), next(plan.stat))?;
        let pipelined = ports.port(&format!("pipelined@{instance}.monitorServerPort"), next(plan.pipelined))?;
        // The product's own encoding and UTF-8 take turns, both with an accented comment.
        let latin = index % 2 == 0;
        let text =
            instance_conf(instance, &plan.autostart, stat, pipelined, if latin { "ISO-8859-15" } else { "UTF-8" });
        let bytes = if latin { encoding_rs::ISO_8859_15.encode(&text).0.into_owned() } else { text.into_bytes() };
        write(&home.conf().join(format!("config-{instance}.xml")), &bytes)?;
    }
    let mut settings =
        format!("# Settings of the simulator: the product would not have this file.\nsyslogdPort={syslog}\n");
    for (key, value) in &plan.settings {
        writeln!(settings, "{key}={value}").ok();
    }
    write(&home.settings_file(), &settings)?;
    write(&home.ports_file(), &ports.file)?;
    Ok(ports.file)
}

/// A hard link, or a copy where the executable is on another device.
pub(crate) fn link_or_copy(exe: &Path, link: &Path) -> Result<()> {
    fs::remove_file(link).ok();
    let linked = fs::hard_link(exe, link).or_else(|_| fs::copy(exe, link).map(|_| ()));
    linked.map_err(|source| Error::io(link, source))
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    fs::write(path, bytes).map_err(|source| Error::io(path, source))
}

const CUSTOMER_SH: &str = "# Environment of the server.\nexport LC_ALL=en_US.iso885915\n";

const DEFAULT_CONF: &str = "<?xml version='1.0' encoding='UTF-8'?>
<serverconf>
  <!-- Modules of all instances. -->
  <syslogd autoStart=\"true\" runLevel=\"3\"/>
  <trackinglogd autoStart=\"true\" runLevel=\"5\"/>
  <web args=\"-tomcat -autorepair\" autoStart=\"true\"/>
</serverconf>
";

/// With the documented default of the mta's `workingPath` spelled out, where nothing moves `var`.
fn server_conf(web: u16, control: u16, with_path: bool) -> String {
    let path = if with_path { "workingPath=\"$(XTK_INSTALL_DIR)/var/$(INSTANCE_NAME)/mta/\" " } else { "" };
    format!(
        "<?xml version='1.0' encoding='UTF-8'?>
<serverconf>
  <!-- Values shared by all instances. -->
  <syslogd maxFileSizeMb=\"10\"/>
  <web httpPort=\"{web}\" controlPort=\"{control}\"/>
  <mta {path}maxMemoryMb=\"1024\">
    <master maxSpareServers=\"2\" minSpareServers=\"0\"/>
    <child maxWorkingSetMb=\"128\" maxAgeSec=\"600\"/>
  </mta>
</serverconf>
"
    )
}

fn instance_conf(instance: &str, autostart: &[String], stat: u16, pipelined: u16, encoding: &str) -> String {
    let mut text = format!(
        "<?xml version='1.0' encoding='{encoding}'?>\n<serverconf>\n  <!-- Réglages de l'instance {instance} -->\n"
    );
    for resident in RESIDENTS.iter().filter(|resident| resident.scope == Scope::Instance) {
        let auto = autostart.iter().any(|name| name.eq_ignore_ascii_case(resident.name));
        let more = match resident.name {
            "mta" => format!(" statServerAddress=\"localhost:{stat}\""),
            "stat" => format!(" port=\"{stat}\""),
            "pipelined" => format!(" monitorServerPort=\"{pipelined}\""),
            _ => String::new(),
        };
        // Writing to a string cannot fail.
        writeln!(text, "  <{} autoStart=\"{auto}\"{more}/>", resident.name).ok();
    }
    text + "</serverconf>\n"
}
