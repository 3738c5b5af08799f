//! Any configuration file is read or refused, and what was read can be asked for everything.
#![no_main]

use std::sync::Arc;

use campaign_exporter_fuzz::catalog::modules::MODULES;
use campaign_exporter_fuzz::parse::conf::{ServerConf, Settings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(conf) = ServerConf::parse(data) else { return };
    let conf = Arc::new(conf);
    let settings = Settings::overlay(Some(Arc::clone(&conf)), Some(conf));
    for module in MODULES {
        let known = settings.module(module.name);
        assert_eq!(known.auto_start, settings.auto_start(module.name));
    }
});
