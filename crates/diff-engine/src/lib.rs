//! Compares what Git wants with what is live, and decides what a sync may create, change and delete.
//!
//! - [`normalise`] and [`compare`] find the fields that an apply would change: desired is a subset, lists merge as the
//!   server merges them, and a field that we own and Git no longer sets goes. [`take_claimed`] first takes the values
//!   that somebody else drives ([`Claims`]) from live.
//! - [`plan_inventory`] says what must be written down before the next create, [`prune_plan`] what may be deleted,
//!   [`apply_order`] in which order objects are applied, [`judge_ownership`] whose a live object is.
//! - [`assess`] judges health as Argo CD does, [`assess_as_kstatus`] as Flux does; [`Redactor`] masks secrets; [`print_fields`] and [`print_unified`] print a comparison,
//!   [`field_owners`] says who wrote a field.
//!
//! It reads no cluster and no clock and writes nothing: snapshots come in, decisions go out. It does not render
//! manifests, does not know custom health scripts, and does not predict admission webhooks.
//!
//! ```
//! use diff_engine::{Applied, Claims, CompareOptions, compare};
//! use object_model::Object;
//! use serde_json::json;
//!
//! let map = |data| Object::parse(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}));
//! let (desired, live) = (map(json!({"k": "new"})).unwrap(), map(json!({"k": "old", "by-others": "x"})).unwrap());
//! let claims = Claims::default();
//! let options = CompareOptions { field_manager: "sluice", applied: Applied::Unknown, claims: &claims, ignore: &[] };
//! let comparison = compare(&desired, &live, &options);
//! assert_eq!(comparison.changes.len(), 1);
//! assert_eq!(comparison.changes[0].pointer, "/data/k");
//! ```

mod claims;
mod compare;
mod field_digests;
mod field_owners;
mod field_pointer;
mod field_set;
mod health;
mod hooks;
mod ignore;
mod inventory;
mod inventory_objects;
mod jq;
mod jq_path;
mod left_to_others;
mod list_shape;
mod normalise;
mod order;
mod ownership;
mod predict;
mod prune;
mod quantity;
mod redact;
mod text;
mod walk;

pub use claims::{CLAIMS_ANNOTATION, Claim, Claims, ClaimsError, autoscaler_claims, take_claimed, take_ignored};
pub use compare::{Applied, Change, CompareOptions, Comparison, applied_digest, compare};
pub use field_digests::{field_digests, had_changed_fields};
pub use field_owners::{FieldOwner, field_owners};
pub use field_pointer::{FieldPointer, FieldPointerError, PointerStep};
pub use health::{Health, HealthStatus, assess, assess_as_kstatus, worst};
pub use hooks::{
    HOOK_ANNOTATION, HOOK_DELETE_POLICY_ANNOTATION, HookDeletion, HookError, HookOutcome, HookPhase, HookSpec,
    Occasion, Role, hook_outcome, is_hook_at_work, outcome_of, role_of,
};
pub use ignore::IgnoreRule;
pub use inventory::{
    ConfigIdentity, Entry, EntryState, Inventory, InventoryScope, Live, LiveView, Wanted, plan_inventory,
};
pub use inventory_objects::{
    ChunkPlan, ENTRIES_PER_CHUNK, INVENTORY_CONFIG_LABEL, INVENTORY_KIND, ReadInventoryError, plan_chunks,
    read_inventory,
};
pub use jq::{JqError, JqProgram};
pub use jq_path::{JqPathError, jq_path};
pub use normalise::{LAST_APPLIED_ANNOTATION, fold_string_data, normalise};
pub use order::{
    Duplicate, Stage, StageName, WAVE_ANNOTATION, Wave, WaveError, apply_order, duplicates, kind_rank, wave_of,
};
pub use ownership::{OWNER_ANNOTATION, Owner, Ownership, OwnershipConflict, judge_ownership, ownership_conflicts};
pub use predict::predict;
pub use prune::{
    KeepReason, PRUNE_ANNOTATION, PruneDecision, PrunePolicy, PruneScope, PruneVerdict, RenderOutcome,
    SYNC_OPTIONS_ANNOTATION, deletion_plan, is_kept_on_deletion, prune_plan,
};
pub use redact::Redactor;
pub use text::{print_between, print_fields, print_unified};
