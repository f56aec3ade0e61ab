//! What the daemon says over HTTP: is it alive, is it ready, the numbers.
//!
//! No route changes anything and none tells a secret, a path or a file name. No port is published by
//! the compose file; `BACKUP_METRICS_TOKEN` closes `/metrics` for everyone without it.

use crate::{
    exit::{Failure, Result},
    health::Health,
    metrics::Metrics,
};
use axum::{
    Json, Router,
    body::HttpBody,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
    serve::Listener,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use lifeboat_run::Secret;
use serde_json::json;
use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};
use tracing::info;

/// For the question, for the answer to be ready, and for everything together.
const ASKING_TIME_MAX: Duration = Duration::from_secs(5);
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(20);

const HEADER_BYTES_MAX: usize = 16 << 10;

/// Far below the number of files that a process may open: the run in hand needs them more.
const CONNECTIONS_MAX: usize = 64;

/// Requests answered at once; the rest is told to come again.
const REQUESTS_MAX: usize = 16;

#[derive(Debug, Clone)]
pub struct Site {
    pub metrics: Metrics,
    pub health: Arc<Health>,
    pub metrics_token: Option<Secret>,
}

/// Answers from now on, for as long as the process lives.
pub async fn open(addr: SocketAddr, site: Site) -> Result<()> {
    let listener = TcpListener::bind(addr).await.map_err(|e| {
        Failure::io(
            "listen on",
            addr,
            &e,
            "choose another BACKUP_HTTP_ADDR, or `off`",
        )
    })?;
    // Not what was asked for, but what was given: port 0 means any.
    let addr = listener.local_addr().unwrap_or(addr);
    info!(%addr, "listening");
    tokio::spawn(serve(listener, site));
    Ok(())
}

/// One question a connection, and a time for each step of it. When there are too many, the oldest makes room:
/// an answer takes no time, so whoever has been there longest is not waiting for one.
async fn serve(mut listener: TcpListener, site: Site) {
    let service = TowerToHyperService::new(router(site));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(ASKING_TIME_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .keep_alive(false);
    let mut connections: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        let (stream, _) = Listener::accept(&mut listener).await;
        connections.retain(|connection| !connection.is_finished());
        if connections.len() >= CONNECTIONS_MAX
            && let Some(oldest) = connections.pop_front()
        {
            oldest.abort();
        }
        let connection = http.serve_connection(TokioIo::new(stream), service.clone());
        connections.push_back(tokio::spawn(async move {
            // How a caller takes leave is nobody's concern.
            let _ = tokio::time::timeout(CONNECTION_TIME_MAX, connection).await;
        }));
    }
}

pub fn router(site: Site) -> Router {
    let places = Arc::new(Semaphore::new(REQUESTS_MAX));
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .fallback(nothing_here)
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            within_limits(places.clone(), request, next)
        }))
        .with_state(Arc::new(site))
}

/// Alive: the scheduler's last sign of life is young, and the newest good backup is not overdue.
async fn healthz(State(site): State<Arc<Site>>) -> Response {
    let verdict = site.health.verdict(chrono::Utc::now());
    let status = if verdict.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(verdict)).into_response()
}

/// Ready: the store can be written to and a schedule is in force.
async fn readyz(State(site): State<Arc<Site>>) -> Response {
    match site.health.not_ready(chrono::Utc::now()) {
        None => (StatusCode::OK, Json(json!({ "ok": true }))).into_response(),
        Some(what) => trouble(
            StatusCode::SERVICE_UNAVAILABLE,
            &what,
            "`lifeboat doctor` tries every part by itself",
        ),
    }
}

async fn metrics(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let Some(token) = &site.metrics_token
        && !bearer_matches(&headers, token)
    {
        let mut refusal = trouble(
            StatusCode::UNAUTHORIZED,
            "the metrics are closed",
            "send `Authorization: Bearer` with BACKUP_METRICS_TOKEN",
        );
        refusal.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            header::HeaderValue::from_static("Bearer"),
        );
        return refusal;
    }
    match site.metrics.page() {
        Ok(page) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            page,
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            trouble(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the metrics could not be written",
                "the log says why",
            )
        }
    }
}

async fn nothing_here() -> Response {
    trouble(
        StatusCode::NOT_FOUND,
        "there is nothing here",
        "/healthz, /readyz and /metrics are",
    )
}

async fn within_limits(places: Arc<Semaphore>, request: Request, next: Next) -> Response {
    let Ok(_place) = places.try_acquire() else {
        return trouble(
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests at once",
            "ask again in a moment",
        );
    };
    if request.body().size_hint().exact() != Some(0) {
        return trouble(
            StatusCode::PAYLOAD_TOO_LARGE,
            "a question here has no body",
            "ask with GET and nothing else",
        );
    }
    match tokio::time::timeout(ANSWER_TIME_MAX, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => trouble(
            StatusCode::GATEWAY_TIMEOUT,
            "no answer in time",
            "the log may say why",
        ),
    }
}

fn trouble(status: StatusCode, error: &str, hint: &str) -> Response {
    (status, Json(json!({ "error": error, "hint": hint }))).into_response()
}

/// Compares digests, so that neither time nor length tells anything of the token.
fn bearer_matches(headers: &HeaderMap, token: &Secret) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, token.reveal().as_bytes());
    let expected = ring::hmac::sign(&key, token.reveal().as_bytes());
    ring::hmac::verify(&key, given.as_bytes(), expected.as_ref()).is_ok()
}
