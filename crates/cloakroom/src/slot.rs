use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use http::Extensions;

use crate::inner::Inner;
use crate::session::{Cell, Scope};

/// What a request carries in its extensions for one tag.
struct Ticket<T> {
    cell: Arc<Cell>,
    scope: Scope,
    tag: PhantomData<fn() -> T>,
}

impl<T> Clone for Ticket<T> {
    fn clone(&self) -> Self {
        Self {
            cell: Arc::clone(&self.cell),
            scope: self.scope.clone(),
            tag: PhantomData,
        }
    }
}

/// Under which type, and with which scope, a layer hands its handle on. The tag's type is erased
/// here, so that the layer has no type parameter.
#[derive(Clone)]
pub(crate) struct Slot {
    scope: Scope,
    tag: TypeId,
    put: fn(&mut Extensions, Arc<Cell>, Scope),
    find: fn(&Extensions) -> Option<&Arc<Cell>>,
}

/// The tag of a layer that was given none.
#[derive(Debug)]
pub(crate) struct Plain;

impl Slot {
    pub(crate) fn of<T: 'static>(scope: Scope) -> Self {
        Self {
            scope,
            tag: TypeId::of::<T>(),
            put: |extensions, cell, scope| {
                extensions.insert(Ticket::<T> {
                    cell,
                    scope,
                    tag: PhantomData,
                });
            },
            find: |extensions| extensions.get::<Ticket<T>>().map(|ticket| &ticket.cell),
        }
    }

    pub(crate) fn retag<T: 'static>(self) -> Self {
        Self::of::<T>(self.scope)
    }

    pub(crate) fn rescope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    pub(crate) fn put(&self, extensions: &mut Extensions, cell: Arc<Cell>) {
        if cell.inner.is_scoped() {
            let mut cells = extensions.remove::<Cells>().unwrap_or_default();
            cells.0.push(Arc::clone(&cell));
            extensions.insert(cells);
        }
        (self.put)(extensions, cell, self.scope.clone());
    }

    /// The handle of an outer layer with the same manager.
    pub(crate) fn outer(&self, extensions: &Extensions, inner: &Arc<Inner>) -> Option<Arc<Cell>> {
        let same = |cell: &&Arc<Cell>| Arc::ptr_eq(&cell.inner, inner);
        let by_tag = (self.find)(extensions);
        if let Some(cell) = by_tag.filter(same) {
            return Some(Arc::clone(cell));
        }
        if by_tag.is_some() {
            inner.warn_of_shadowing();
        }
        if !inner.is_scoped() {
            return None;
        }
        extensions
            .get::<Cells>()?
            .0
            .iter()
            .find(same)
            .map(Arc::clone)
    }
}

/// The handles of layers that share a session under different tags and scopes.
#[derive(Clone, Default)]
struct Cells(Vec<Arc<Cell>>);

/// The handle that the layer with this tag has put into the extensions.
pub(crate) fn ticket<T: 'static>(extensions: &Extensions) -> Option<(&Arc<Cell>, &Scope)> {
    extensions
        .get::<Ticket<T>>()
        .map(|ticket| (&ticket.cell, &ticket.scope))
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("scope", &self.scope)
            .field("tag", &self.tag)
            .finish_non_exhaustive()
    }
}
