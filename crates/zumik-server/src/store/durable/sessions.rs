//! The numbers that stand for the status of a session.

use zumik_types::SessionStatus;

/// The status of a session whose rows wait for the sweep.
pub(in crate::store) const DELETED: i64 = 3;

/// The status of a session that is kept as a number.
pub(in crate::store) fn status(number: i64) -> SessionStatus {
    match number {
        0 => SessionStatus::Active,
        1 => SessionStatus::Archived,
        _ => SessionStatus::Tombstoned,
    }
}
