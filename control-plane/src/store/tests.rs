//! One contract for every backend, and what sled must do beside it when files are damaged, locked or full.

mod commits;
mod contract;
mod damage;
mod derived;
mod disks;
mod golden;
mod history;
mod layout;
mod policies;
mod power;
mod strace;

pub(crate) mod faulty;

use golden::samples;
