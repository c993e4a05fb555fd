//! Compares what Git wants with what is live, and decides what a sync may create, change and delete.

mod claims;
mod compare;
mod field_pointer;
mod field_set;
mod health;
mod ignore;
mod inventory;
mod inventory_objects;
mod list_shape;
mod normalise;
mod order;
mod ownership;
mod prune;
mod quantity;

pub use claims::{CLAIMS_ANNOTATION, Claim, Claims, ClaimsError, autoscaler_claims, take_claimed, take_ignored};
pub use compare::{Applied, Change, CompareOptions, Comparison, applied_digest, compare};
pub use field_pointer::{FieldPointer, FieldPointerError, PointerStep};
pub use health::{Health, HealthStatus, assess, worst};
pub use ignore::IgnoreRule;
pub use inventory::{
    ConfigIdentity, Entry, EntryState, Inventory, InventoryScope, Live, LiveView, Wanted, plan_inventory,
};
pub use inventory_objects::{
    ChunkPlan, ENTRIES_PER_CHUNK, INVENTORY_CONFIG_LABEL, INVENTORY_KIND, ReadInventoryError, plan_chunks,
    read_inventory,
};
pub use normalise::{LAST_APPLIED_ANNOTATION, normalise};
pub use order::{
    Duplicate, Stage, StageName, WAVE_ANNOTATION, Wave, WaveError, apply_order, duplicates, kind_rank, wave_of,
};
pub use ownership::{OWNER_ANNOTATION, Owner, Ownership, OwnershipConflict, judge_ownership, ownership_conflicts};
pub use prune::{
    KeepReason, PRUNE_ANNOTATION, PruneDecision, PrunePolicy, PruneScope, PruneVerdict, RenderOutcome, prune_plan,
};
