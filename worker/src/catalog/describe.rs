//! What a tool can be asked about itself beyond a call: its statements, their conditions and placeholders. For checks
//! and for people, not for the hot path.

use std::ops::Range;

use super::masks;
use super::statement::Form;
use super::tool::{Sql, Tool};
use super::wrap::{Slot, Variant};

impl Sql {
    /// Whether the statement yields rows.
    pub fn yields_rows(&self) -> bool {
        self.form != Form::Plain
    }

    /// The statement's bytes in the file.
    pub fn span(&self) -> Range<usize> {
        self.template.span.clone()
    }

    /// Whether the tool has effects: then the statement here is its `finish`.
    pub fn plans(&self) -> bool {
        self.plan.is_some()
    }

    /// The different `--?` conditions, as the parameter names of each.
    pub fn conditions(&self) -> Vec<Vec<&str>> {
        self.template
            .guards
            .iter()
            .map(|guard| guard.names.iter().map(|name| name.value.as_str()).collect())
            .collect()
    }
}

impl Tool {
    /// The statement in which exactly the conditions of `mask` hold (bit 0 is the first of [`Sql::conditions`]).
    /// `None`: not a SQL tool, or no such condition.
    pub fn variant(&self, mask: usize) -> Option<&Variant> {
        let sql = self.sql()?;
        (mask < sql.variants.len()).then(|| self.variant_of(sql, mask))
    }

    /// The author's own statement, not wrapped, under the conditions of `mask`: for describing its columns.
    pub fn bare_variant(&self, mask: usize) -> Option<Variant> {
        let sql = self.sql()?;
        (mask < sql.variants.len()).then(|| self.build(sql, Form::Plain, mask))
    }

    /// The statements of a `plan`, wrapped and bare, under each telling combination of its conditions; empty for a tool without effects.
    pub fn plan_variants(&self) -> Vec<(&Variant, Variant)> {
        let Some((sql, planning)) = self.sql().and_then(|sql| Some((sql, sql.plan.as_deref()?)))
        else {
            return Vec::new();
        };
        masks::reachable(&planning.guards, &self.parameters)
            .into_iter()
            .map(|mask| {
                let bare = self.build_plan(sql, planning, Form::Plain, mask);
                (self.plan_variant(sql, planning, mask), bare)
            })
            .collect()
    }

    /// The bytes of the file that hold its `plan`.
    pub fn plan_span(&self) -> Option<Range<usize>> {
        let planning = self.sql()?.plan.as_ref()?;
        Some(planning.template.span.clone())
    }

    /// What each `$n` of a variant stands for, in the author's words: `status`, `cursor.id`.
    pub fn placeholder_names(&self, variant: &Variant) -> Vec<String> {
        let keys = self
            .sql()
            .and_then(|sql| sql.page.as_ref())
            .map(|page| page.keys.as_slice())
            .unwrap_or_default();
        let name = |slot: &Slot| match slot {
            Slot::Parameter(index) | Slot::OneMore(index) => {
                self.parameters.get(*index).map(|p| p.name.clone())
            }
            Slot::Key(index) => keys.get(*index).map(|key| format!("cursor.{}", key.column)),
            Slot::Arguments => Some("arguments".to_owned()),
            Slot::Plan => Some("plan".to_owned()),
            Slot::Outcome => Some("outcome".to_owned()),
        };
        variant
            .slots
            .iter()
            .map(|slot| name(slot).unwrap_or_default())
            .collect()
    }

    /// The masks of conditions that a call can lead to, or the telling ones of very many.
    pub fn masks(&self) -> Vec<usize> {
        self.sql()
            .map(|sql| masks::reachable(&sql.guards, &self.parameters))
            .unwrap_or_default()
    }
}
