//! The documented modules, row by row as the specification has them.

use super::{Kind, Module};

/// The Campaign instance that shared modules run under, and that a command line without `-instance:` means.
pub const DEFAULT_INSTANCE: &str = "default";

/// What [`super::Link::page`] is relative to.
pub const DOCUMENTATION: &str =
    "https://experienceleague.adobe.com/docs/campaign-classic/using/monitoring-campaign-classic/";

/// The modules that the specification has a row for, in its order.
pub static MODULES: &[Module] = &[];

/// Documented resident modules without a row in the specification: they get metrics and the general alerts.
pub static OTHER_RESIDENTS: &[(&str, Kind)] = &[];

/// The row of the module called `name`; case matters, as it does in Campaign's logs.
#[must_use]
pub fn module(name: &str) -> Option<&'static Module> {
    MODULES.iter().find(|module| module.name == name)
}

/// Every documented resident module with its kind, those without a row included.
pub fn residents() -> impl Iterator<Item = (&'static str, Kind)> {
    let rows = MODULES.iter().filter(|module| module.kind.is_resident()).map(|module| (module.name, module.kind));
    rows.chain(OTHER_RESIDENTS.iter().copied())
}

/// The documented default of the attribute `args` of the module called `name`: mta's own log filter, else nothing.
#[must_use]
pub fn default_args(name: &str) -> &'static str {
    if name == "mta" { "-tracefilter:nlmta" } else { "" }
}
