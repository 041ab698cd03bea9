use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use crate::future::ResponseFuture;
use crate::inner::Inner;
use crate::scheme::is_https;
use crate::session::Cell;
use crate::slot::Slot;

/// The service that [`SessionLayer`](crate::SessionLayer) puts around another.
///
/// It hands an unloaded handle to the inner service and does nothing else unless that asks for its
/// session: no cookie is parsed, no store is called, no header is added.
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    service: S,
    inner: Arc<Inner>,
    slot: Slot,
}

impl<S> SessionService<S> {
    pub(crate) fn new(service: S, inner: Arc<Inner>, slot: Slot) -> Self {
        Self {
            service,
            inner,
            slot,
        }
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for SessionService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ResB: Default,
{
    type Response = Response<ResB>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResB>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        self.inner.keep_house();
        if let Some(outer) = self.slot.outer(request.extensions(), &self.inner) {
            // The same manager again: one session, one cookie, one commit, by the outer one.
            self.slot.put(request.extensions_mut(), outer);
            return ResponseFuture::new(self.service.call(request), None);
        }
        let https = self.inner.transports.go_by_scheme()
            && is_https(&request, self.inner.config.trust_forwarded_proto);
        let cell = Arc::new(Cell::unloaded(Arc::clone(&self.inner), https));
        self.slot.put(request.extensions_mut(), Arc::clone(&cell));
        ResponseFuture::new(self.service.call(request), Some(cell))
    }
}
