//! Many requests in one file: written from typed values, run by the server, read back as typed values.

mod download;
mod input;
mod line;
mod lines;
mod results;
mod run;
mod wait;

pub use line::BatchLine;
pub use results::BatchResults;
pub use run::RunBatch;
pub use wait::WaitForBatch;
