//! What the daemon says over HTTP: is it alive, is it ready, the numbers.
//!
//! No route changes anything and none tells a secret, a path or a file name. No port is published by
//! the compose file; `BACKUP_METRICS_TOKEN` closes `/metrics` for everyone without it.

use crate::{health::Health, metrics::Metrics};
use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use lifeboat_run::Secret;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// No answer here takes longer, and nobody may hold a connection without asking for one.
const ANSWER_SECONDS_MAX: u64 = 10;

/// Requests answered at once; the rest is told to come again.
const REQUESTS_MAX: usize = 16;

#[derive(Debug, Clone)]
pub struct Site {
    pub metrics: Metrics,
    pub health: Arc<Health>,
    pub metrics_token: Option<Secret>,
}

pub async fn serve(
    listener: TcpListener,
    site: Site,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(site))
        .with_graceful_shutdown(stopped)
        .await
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
    match site.health.not_ready() {
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
    match tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS_MAX), next.run(request)).await {
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
