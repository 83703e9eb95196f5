//! One WebSocket of `confab.v1`, opened again whenever it is lost.
//!
//! After a failure the next attempt waits longer, up to half a minute, and for a random part of that, so that a thousand
//! browsers do not come back at the same moment; when the network or the tab comes back it is made at once. A close code from
//! 4500 on means that coming back is of no use. Who was signed out is shown a fresh page, as somebody new, or, with an account, where
//! to sign in again; who has lost what the page shows is told so in its place. A connection that has gone quiet is asked with a `ping`
//! and given up if nothing comes.
//!
//! Who leaves the page is gone: it is closed then. A browser may keep the page as it is, with its socket, and show it once more when the
//! reader comes back; until then the others would see somebody who is not there.

use std::{cell::Cell, rc::Rc};

use futures_channel::mpsc;
use futures_util::{FutureExt, SinkExt, StreamExt, select};
use gloo_net::websocket::{Message, WebSocketError, futures::WebSocket};
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, closure::Closure};

use super::spawn;
use crate::{
    app::{Status, words},
    wire::{Command, Event, Person, Ping, Push, Request, SUBPROTOCOL, ServerFrame, uppercase},
};

/// The longest wait between attempts, in milliseconds.
const LONGEST_WAIT: f64 = 30_000.0;
/// The first wait.
const FIRST_WAIT: f64 = 500.0;
/// How long an attempt may take, and how long the answer to a ping, in milliseconds.
const PATIENCE: u32 = 10_000;
/// After how much silence the server is asked whether it is there, in milliseconds.
const QUIET: u32 = 30_000;

/// The close code that says that the person was signed out.
const SIGNED_OUT: u16 = 4501;

/// Where every page connects; what it wants to hear of it joins.
const PATH: &str = "/ws/";

/// What comes of the connection.
pub(super) enum Heard {
    Status(Status),
    /// It is there, and the server takes us for this person.
    Welcome(Person),
    /// The server said something else.
    Frame(ServerFrame),
}

/// Who hears it.
type Hear = Rc<dyn Fn(Heard)>;

/// What the page wants of the connection.
enum Order {
    Say(Request),
    Close,
    Open,
    /// The network or the tab came back: no more waiting, and no more trust.
    Wake,
    /// The reader leaves the page.
    Leave,
    /// The page is shown, perhaps once more.
    Return,
    /// The connection that there is was made for who we were.
    Renew,
}

/// The way to the connection, for the page.
#[derive(Clone)]
pub(super) struct Line {
    orders: mpsc::UnboundedSender<Order>,
    next_id: Rc<Cell<u64>>,
}

impl Line {
    /// Sends a command and gives its number. While there is no connection it is lost: what matters is said again after
    /// [`Heard::Welcome`].
    pub(super) fn say(&self, command: Command) -> u64 {
        let id = self.next_id.replace(self.next_id.get() + 1);
        self.order(Order::Say(Request { id, command }));
        id
    }

    /// Closes the connection and keeps it closed.
    pub(super) fn close(&self) {
        self.order(Order::Close);
    }

    /// Opens a closed connection, at once.
    pub(super) fn open(&self) {
        self.order(Order::Open);
    }

    /// Opens another connection in place of the one that there is.
    pub(super) fn renew(&self) {
        self.order(Order::Renew);
    }

    fn order(&self, order: Order) {
        // The receiver lives as long as the page.
        let _ = self.orders.unbounded_send(order);
    }
}

/// How a connection ended.
enum End {
    /// The page wants it closed.
    Closed,
    /// The reader has left.
    Left,
    /// To be opened again at once.
    Again,
    /// It broke or was closed; after how long it is opened again is up to the caller.
    Lost,
    /// The server says that coming back is of no use, and why.
    Refused(String),
    /// The page is asked for anew, and this one is gone.
    Anew,
}

/// Opens the connection, and again whenever it is lost, until the page is gone. Gives what is made with the way to it, which comes with who
/// hears what comes of it.
pub(super) fn start<T>(make: impl FnOnce(Line) -> (T, Hear)) -> T {
    let (orders, inbox) = mpsc::unbounded();
    let line = Line { orders, next_id: Rc::new(Cell::new(1)) };
    let (made, hear) = make(line.clone());
    let wake = || (!document().hidden()).then_some(Order::Wake);
    order_on("online", &window(), &line, wake);
    order_on("offline", &window(), &line, wake);
    order_on("visibilitychange", &document(), &line, wake);
    order_on("pagehide", &window(), &line, || Some(Order::Leave));
    order_on("pageshow", &window(), &line, || Some(Order::Return));
    spawn(run(super::socket_address(PATH), hear, line, inbox));
    made
}

/// Has an event of the page order something, if there is something to order.
fn order_on(event: &str, target: &web_sys::EventTarget, line: &Line, order: fn() -> Option<Order>) {
    let line = line.clone();
    let listener = Closure::<dyn Fn()>::new(move || {
        if let Some(order) = order() {
            line.order(order);
        }
    });
    if target.add_event_listener_with_callback(event, listener.as_ref().unchecked_ref()).is_ok() {
        // The page's only connection listens as long as the page lives.
        listener.forget();
    }
}

async fn run(address: String, hear: Hear, line: Line, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut wait = FIRST_WAIT;
    loop {
        hear(Heard::Status(Status::Connecting));
        let welcomed = Cell::new(false);
        let end = converse(&address, &hear, &line, &mut orders, &welcomed).await;
        if welcomed.get() {
            wait = FIRST_WAIT;
        }
        let end = if matches!(end, End::Lost) {
            hear(Heard::Status(Status::Connecting));
            // Without a network there is nothing to try until it is back, which is an event.
            let online = window().navigator().on_line();
            let delay = if online { wait * (0.5 + js_sys::Math::random() / 2.0) } else { LONGEST_WAIT } as u32;
            wait = (wait * 2.0).min(LONGEST_WAIT);
            pause(delay, &mut orders).await
        } else {
            end
        };
        match end {
            End::Again | End::Lost => {}
            End::Closed => closed(None, &hear, &mut orders).await,
            End::Anew => return,
            End::Refused(reason) => closed(Some(reason), &hear, &mut orders).await,
            End::Left => {
                hear(Heard::Status(Status::Connecting));
                while !matches!(orders.next().await, Some(Order::Open | Order::Wake | Order::Return)) {}
            }
        }
    }
}

/// Stays closed until the page wants it opened.
async fn closed(reason: Option<String>, hear: &Hear, orders: &mut mpsc::UnboundedReceiver<Order>) {
    hear(Heard::Status(Status::Closed { reason }));
    while !matches!(orders.next().await, Some(Order::Open)) {}
}

/// Waits, unless something makes waiting senseless; says what is to come of the connection.
async fn pause(milliseconds: u32, orders: &mut mpsc::UnboundedReceiver<Order>) -> End {
    let mut over = TimeoutFuture::new(milliseconds).fuse();
    loop {
        select! {
            () = over => return End::Again,
            order = orders.select_next_some() => match order {
                Order::Open | Order::Wake | Order::Renew => return End::Again,
                Order::Close => return End::Closed,
                Order::Leave => return End::Left,
                Order::Say(_) | Order::Return => {}
            },
        }
    }
}

/// Leads to where somebody signs in again whose session is over, and back from there. That page says what has happened.
fn to_sign_in() -> End {
    let location = window().location();
    if let Ok(here) = location.pathname() {
        // The address is one of this server.
        let _ = location.replace(&format!("/login?over=yes&next={}", js_sys::encode_uri_component(&here)));
    }
    End::Anew
}

/// Says what has become of what the page showed, in its place. Who asks for the page again finds nothing there.
fn lost(message: &str) -> End {
    let first = message.chars().next().map(|first| uppercase(&first.to_string())).unwrap_or_default();
    let (said, remedy) = message.split_once("; ").unwrap_or((message, ""));
    let said = words(&format!("{first}{}.", said.get(first.len()..).unwrap_or_default()));
    let remedy = if remedy.is_empty() { String::new() } else { format!("<p>Perhaps {}.</p>", words(remedy)) };
    super::element().set_inner_html(&format!(
        "<header class=\"bar\"><a class=\"home\" href=\"/\">Confab</a></header><main class=\"notice\"><div role=\"alert\">\
         <h1>{said}</h1>{remedy}<p><a class=\"button\" href=\"/\">See all rooms</a></p></div></main>"
    ));
    End::Anew
}

/// Leads to this page as the server has it now, with nothing in it that was written.
fn anew() -> End {
    let location = window().location();
    // The address is that of a page which is open.
    let _ = location.href().and_then(|here| location.replace(&here));
    End::Anew
}

/// Takes what was kept of who the reader was out of the browser's storage and the tab's: drafts, and what waits to be sent.
fn forget() {
    let of_browser = window().local_storage().ok().flatten();
    let of_tab = window().session_storage().ok().flatten();
    for storage in [of_browser, of_tab].into_iter().flatten() {
        let keys: Vec<_> = (0..storage.length().unwrap_or_default()).filter_map(|at| storage.key(at).ok().flatten()).collect();
        for key in keys.iter().filter(|key| key.starts_with("confab:")) {
            // A storage that is forbidden has none.
            let _ = storage.remove_item(key);
        }
    }
}

/// One connection, from its beginning to its end.
async fn converse(
    address: &str,
    hear: &Hear,
    line: &Line,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    welcomed: &Cell<bool>,
) -> End {
    let Ok(raw) = web_sys::WebSocket::new_with_str(address, SUBPROTOCOL) else { return End::Lost };
    let Ok(socket) = WebSocket::try_from(raw.clone()) else { return End::Lost };
    let (mut sink, stream) = socket.split();
    let mut stream = stream.fuse();
    // Nothing can be sent before the welcome; until then a timer watches over the handshake, afterwards over silence.
    let mut timer = TimeoutFuture::new(PATIENCE).fuse();
    let (asked, has_account) = (Cell::new(false), Cell::new(false));
    let heard = Cell::new(js_sys::Date::now());
    loop {
        select! {
            message = stream.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    heard.set(js_sys::Date::now());
                    if asked.replace(false) {
                        timer = TimeoutFuture::new(QUIET).fuse();
                    }
                    match serde_json::from_str(&text) {
                        Ok(ServerFrame::Welcome { welcome }) => {
                            welcomed.set(true);
                            timer = TimeoutFuture::new(QUIET).fuse();
                            has_account.set(welcome.you.handle.is_some());
                            hear(Heard::Status(Status::Connected));
                            hear(Heard::Welcome(welcome.you));
                        }
                        Ok(ServerFrame::Push(Push { event: Event::Left(left), .. })) => return lost(&left.message),
                        Ok(frame) => hear(Heard::Frame(frame)),
                        // A newer server may say what this page does not know; it does without.
                        Err(_) => {}
                    }
                }
                Some(Ok(Message::Bytes(_))) => {}
                Some(Err(WebSocketError::ConnectionClose(close))) => {
                    return match close.code {
                        SIGNED_OUT => {
                            forget();
                            if has_account.get() { to_sign_in() } else { anew() }
                        }
                        4500.. => End::Refused(close.reason),
                        _ => End::Lost,
                    };
                }
                Some(Err(_)) | None => return End::Lost,
            },
            order = orders.select_next_some() => match order {
                Order::Say(request) => {
                    // Into a closing socket nothing is said; that it closes is what the stream says next.
                    if welcomed.get()
                        && raw.ready_state() == web_sys::WebSocket::OPEN
                        && let Ok(text) = serde_json::to_string(&request)
                    {
                        if sink.send(Message::Text(text)).await.is_err() {
                            return End::Lost;
                        }
                        // Every command is answered; silence now means that the line is dead.
                        if !asked.replace(true) {
                            timer = TimeoutFuture::new(PATIENCE).fuse();
                        }
                    }
                }
                order @ (Order::Close | Order::Leave) => {
                    if let Ok(socket) = stream.into_inner().reunite(sink) {
                        // It is closed from our side whatever the browser makes of the code.
                        let _ = socket.close(Some(1000), None);
                    }
                    return if matches!(order, Order::Leave) { End::Left } else { End::Closed };
                }
                Order::Open | Order::Return => {}
                Order::Renew => return End::Again,
                Order::Wake => {
                    if !welcomed.get() {
                        return End::Again;
                    }
                    // After a sleep the socket may only look open.
                    line.say(Command::Ping(Ping {}));
                }
            },
            () = timer => {
                let silent = js_sys::Date::now() - heard.get();
                if !welcomed.get() || asked.get() {
                    return End::Lost;
                }
                if silent >= f64::from(QUIET) {
                    line.say(Command::Ping(Ping {}));
                    timer = TimeoutFuture::new(QUIET).fuse();
                } else {
                    timer = TimeoutFuture::new(QUIET - silent as u32).fuse();
                }
            }
        }
    }
}
