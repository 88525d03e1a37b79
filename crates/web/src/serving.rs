//! Takes connections, and ends well.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower_service::Service as _;

use crate::Web;

/// How many connections are held at once; who comes then waits.
const CONNECTIONS: usize = 4_096;
/// How long a client may take for a request's headers.
const HEADERS: Duration = Duration::from_secs(15);
/// How long answers that are under way have once the process ends.
const ENDING: Duration = Duration::from_secs(10);
/// How often what is over is removed.
const TIDYING: Duration = Duration::from_secs(600);

/// Serves the pages until `closing` changes; answers that are under way then have ten seconds.
///
/// # Errors
/// If the listener fails for good.
pub async fn serve(web: Web, listener: TcpListener, mut closing: watch::Receiver<bool>) -> std::io::Result<()> {
    let router = web.router();
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut tidying = tokio::time::interval(TIDYING);
    loop {
        let room = Arc::clone(&connections).acquire_owned();
        let (stream, room, peer) = tokio::select! {
            () = closes(&mut closing) => break,
            _ = tidying.tick() => {
                if let Err(error) = web.store.forget_ended_logins(web.now(), web.settings.idle()).await {
                    crate::log::failure(&error.to_string());
                }
                continue;
            }
            accepted = async { (listener.accept().await, room.await) } => match accepted {
                (Ok((stream, peer)), Ok(room)) => (stream, room, peer),
                // The client is gone already, or there are too many open files: the next one may be better.
                (Err(_), _) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
                (_, Err(_)) => break,
            },
        };
        let service = hyper::service::service_fn({
            let router = router.clone();
            move |request: hyper::Request<Incoming>| {
                let router = router.clone();
                async move { Ok::<_, Infallible>(answer(router, request, peer).await) }
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_buf_size(32 << 10)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off has said all there is to say.
            let _ = connection.await;
            drop(room);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(ENDING, graceful.shutdown()).await;
    Ok(())
}

/// Waits until the process is to end.
async fn closes(closing: &mut watch::Receiver<bool>) {
    // Who could say so is gone: that is an end as well.
    let _ = closing.wait_for(|closes| *closes).await;
}

async fn answer(mut router: axum::Router, request: hyper::Request<Incoming>, peer: SocketAddr) -> Response {
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(ConnectInfo(peer));
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
