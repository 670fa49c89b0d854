//! One contract for every backend, and what sled must do beside it when files are damaged, locked or full.

mod contract;
mod damage;
mod golden;
mod policies;
pub(crate) mod faulty;

use golden::samples;
