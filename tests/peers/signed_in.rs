//! People of a real Django project, who sign in and out there and are the same here: both stand behind one nginx, as one site.

use std::net::SocketAddr;

use confab::server::settings::{ConfigFile, Settings, Sources};
use reqwest::{Client, Response, header, redirect};
use serde_json::{Value as Json, json};

use crate::{
    app::{Http as _, TestApp},
    clients::{Plain, V1},
    support::{
        django::Django,
        nginx::{Nginx, locations},
        people::{People, Project},
        postgres::Postgres,
        redis::Redis,
        within,
    },
};

const ENGINES: &str = "django.contrib.sessions.backends";

/// A project and a server beside it.
struct Site {
    people: People,
    app: TestApp,
    nginx: Nginx,
    _django: Django,
    _project: Project,
}

impl Site {
    async fn start(project: Project, lines: &str) -> Self {
        let people = People::of(&project).await;
        let app = TestApp::with(|settings| with(settings, lines)).await;
        let django = Django::of(&project).await;
        let nginx = Nginx::before(app.address, django.address()).await;
        Self { people, app, nginx, _django: django, _project: project }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.nginx.address)
    }
}

/// Takes over what these lines say in `[accounts.django]`, and believes the proxy.
fn with(settings: &mut Settings, lines: &str) {
    let content = format!(
        "[server]\ntrusted_proxies = [\"127.0.0.1\"]\n[accounts.django]\nsecret_key = \"of a project that only tests run\"\n{lines}"
    );
    let file = Some(ConfigFile { name: "Leptos.toml".to_owned(), content: content.into_bytes() });
    let loaded = Sources { file, ..Sources::default() }.load().expect("settings").settings;
    settings.django = loaded.django;
    settings.server.trusted_proxies = loaded.server.trusted_proxies;
}

/// A browser on the site.
struct Browser {
    client: Client,
    site: String,
}

impl Browser {
    fn on(site: &Site) -> Self {
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).cookie_store(true).build();
        Self { client: client.expect("a client"), site: site.url("") }
    }

    async fn get(&self, path: &str) -> Response {
        within(path, self.client.get(format!("{}{path}", self.site)).send()).await.expect("an answer")
    }

    /// Fills in a form of Django's at an address, which a page at another has; with its token against forged ones.
    async fn send(&self, page: &str, path: &str, fields: &[(&str, &str)]) -> Response {
        let text = self.get(page).await.text().await.expect("a page");
        let token = text.split("name=\"csrfmiddlewaretoken\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let token = token.unwrap_or_else(|| panic!("no form in {text}"));
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrfmiddlewaretoken", token)]).collect();
        let sent = self.client.post(format!("{}{path}", self.site)).form(&fields).send();
        let answer = within(path, sent).await.expect("an answer");
        assert_eq!(answer.status(), if path == "/admin/logout/" { 200 } else { 302 }, "{path}");
        answer
    }

    /// Signs in at Django's own administration; gives the cookies as a header has them.
    async fn sign_in(&self, name: &str, password: &str) -> String {
        let fields = [("username", name), ("password", password), ("next", "/admin/")];
        let answer = self.send("/admin/login/", "/admin/login/", &fields).await;
        let cookies = answer.headers().get_all(header::SET_COOKIE);
        let cookies = cookies.iter().filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
        cookies.collect::<Vec<_>>().join("; ")
    }

    async fn sign_out(&self) {
        self.send("/admin/", "/admin/logout/", &[]).await;
    }

    /// The page of a room where nobody has said anything: whose name is on it is who sees it.
    async fn room(&self) -> String {
        let page = self.get("/room/quiet/").await;
        assert_eq!(page.status(), 200);
        page.text().await.expect("a page")
    }
}

async fn socket(address: SocketAddr, cookies: &str) -> V1 {
    V1::with(address, "/room/lobby/", &[("cookie", cookies)]).await
}

fn you(socket: &V1) -> &Json {
    &socket.welcome["you"]
}

fn is_guest(you: &Json) -> bool {
    you["id"].as_str().is_some_and(|id| id.starts_with('g')) && you.get("handle").is_none()
}

/// Signs in and out, changes passwords, and looks here what has become of it.
async fn what_holds_there_holds_here(project: Project, lines: &str, sign_out_is_known: bool) {
    let mut site = Site::start(project, lines).await;
    let staff = json!({"first_name": "Ann", "last_name": "Lee", "is_staff": true, "is_superuser": true});
    site.people.add("ann", staff).await;
    let at_home = Browser::on(&site);
    assert!(!at_home.room().await.contains("Ann Lee"), "nobody is signed in");

    let cookies = at_home.sign_in("ann", "first").await;
    assert!(at_home.room().await.contains("Ann Lee"));
    let address = site.nginx.address;
    let mut home = socket(address, &cookies).await;
    let ann = you(&home).clone();
    assert_eq!((&ann["name"], &ann["handle"]), (&json!("Ann Lee"), &json!("ann")));
    assert!(ann["id"].as_str().is_some_and(|id| id.starts_with('a')), "{ann}");
    home.post("room/lobby", "k1", "hello").await;
    let said = home.push().await;
    assert_eq!((&said["event"]["from"]["id"], &said["event"]["from"]["name"]), (&ann["id"], &ann["name"]), "{said}");

    // Another browser is the same person, by plain sockets too, and by the server's own address.
    let at_work = Browser::on(&site);
    let work_cookies = at_work.sign_in("ann", "first").await;
    let mut work = socket(site.app.address, &work_cookies).await;
    assert_eq!(you(&work), &ann);
    let mut plain = Plain::with(address, "/room/lobby/", &[("cookie", &work_cookies)]).await;
    plain.say("plainly").await;
    for socket in [&mut home, &mut work] {
        assert_eq!(&socket.push().await["event"]["from"]["id"], &ann["id"]);
    }

    // Signed out there at work: gone here, and at home nothing has happened.
    at_work.sign_out().await;
    assert!(!at_work.room().await.contains("Ann Lee"));
    if sign_out_is_known {
        assert!(is_guest(you(&socket(address, &work_cookies).await)));
        assert_eq!(work.closed().await, (4501, "you were signed out".to_owned()));
        plain.text().await;
        assert_eq!(plain.closed().await.0, 4501);
    }
    assert!(at_home.room().await.contains("Ann Lee"));
    assert_eq!(you(&socket(address, &cookies).await), &ann);

    // Another password there ends here what the one before has begun.
    site.people.password("ann", "second").await;
    assert!(!at_home.room().await.contains("Ann Lee"));
    assert!(is_guest(you(&socket(address, &cookies).await)));
    assert_eq!(home.closed().await.0, 4501);
    let cookies = at_home.sign_in("ann", "second").await;
    let mut home = socket(address, &cookies).await;
    assert_eq!(you(&home), &ann, "the same account as before");

    // Called otherwise there, called otherwise here; shut out there, out here.
    site.people.change("ann", json!({"first_name": "Anna"})).await;
    assert_eq!(you(&socket(address, &cookies).await)["name"], "Anna Lee");
    site.people.change("ann", json!({"is_active": false})).await;
    assert!(is_guest(you(&socket(address, &cookies).await)));
    assert_eq!(home.closed().await.0, 4501);
}

#[tokio::test]
async fn by_sessions_in_the_database() {
    let project = Project::on_sqlite().with("SESSION_ENGINE", format!("{ENGINES}.db"));
    let lines = format!("database = '{}'", project.file().display());
    what_holds_there_holds_here(project, &lines, true).await;
}

#[tokio::test]
async fn by_sessions_in_postgres() {
    let postgres = Postgres::shared().await;
    let url = postgres.database().await;
    let project = Project::on_postgres(&url).with("SESSION_ENGINE", format!("{ENGINES}.db"));
    what_holds_there_holds_here(project, &format!("database = \"{url}\""), true).await;
}

#[tokio::test]
async fn by_sessions_in_redis() {
    let redis = Redis::start().await;
    let project = Project::on_sqlite().with("SESSION_ENGINE", format!("{ENGINES}.cache")).with_cache(&redis.url(), "", 1);
    let lines = format!("engine = \"cache\"\ndatabase = '{}'\ncache = \"{}\"", project.file().display(), redis.url());
    what_holds_there_holds_here(project, &lines, true).await;
}

/// Of a sign-out the project itself knows nothing then but that the browser has no cookie any more.
#[tokio::test]
async fn by_sessions_in_signed_cookies() {
    let project = Project::on_sqlite().with("SESSION_ENGINE", format!("{ENGINES}.signed_cookies"));
    let lines = format!("engine = \"signed_cookies\"\ndatabase = '{}'", project.file().display());
    what_holds_there_holds_here(project, &lines, false).await;
}

/// Behind one nginx each page of ours is to be had, and Django's own are Django's.
#[test]
fn the_paths_of_the_documentation_are_all_of_ours_and_none_of_djangos() {
    let shown = locations("127.0.0.1:3000".parse().expect("an address"), "127.0.0.1:8000");
    let ours: Vec<&str> = shown.lines().filter(|line| line.contains(":3000")).collect();
    let patterns = ours.iter().filter_map(|line| line.trim().strip_prefix("location ~ ^/(")?.split(")(/|$)").next());
    let names: Vec<&str> = patterns.flat_map(|pattern| pattern.split('|')).collect();
    let is_ours = |path: &str| names.iter().any(|name| path[1..] == **name || path[1..].starts_with(&format!("{name}/")));
    // The list of rooms is where Django's own first page is, sockets are at `/ws/` too, and operators ask the server itself.
    let others = ["/", "/chat/", "/healthz", "/readyz", "/metrics"];
    for (path, _) in confab::server::routing::routes() {
        assert!(is_ours(&path) || others.iter().any(|other| path == *other || path.starts_with("/chat/")), "{path}");
    }
    for path in ["/admin/", "/accounts/login/", "/static/a.css", "/media/a.png", "/", "/chat/lobby/"] {
        assert!(!is_ours(path), "{path}");
    }
}

/// Two people whose names look alike have two handles; guests go on while the project is away, and nobody else is let in.
#[tokio::test]
async fn a_project_that_is_away_lets_nobody_in_and_guests_go_on() {
    let mut redis = Redis::start().await;
    let project = Project::on_sqlite().with("SESSION_ENGINE", format!("{ENGINES}.cache")).with_cache(&redis.url(), "", 1);
    let mut people = People::of(&project).await;
    let lines = format!("engine = \"cache\"\ndatabase = '{}'\ncache = \"{}\"", project.file().display(), redis.url());
    let app = TestApp::with(|settings| with(settings, &lines)).await;
    let mut handles = Vec::new();
    for name in ["bill", "bi11", "Bill"] {
        people.add(name, json!({})).await;
        let cookie = people.login(name, "first").await;
        let socket = socket(app.address, &format!("sessionid={cookie}")).await;
        handles.push(you(&socket)["handle"].as_str().expect("a handle").to_owned());
    }
    assert_eq!(handles, ["bill", "bi11-2", "Bill-3"]);
    let cookie = format!("sessionid={}", people.login("bill", "first").await);
    let mut open = socket(app.address, &cookie).await;
    redis.kill();
    let asked = || async {
        let asked = Client::builder().no_proxy().build().expect("a client").get(app.url("/room/lobby/"));
        within("an answer", asked.header(header::COOKIE, &cookie).send()).await.expect("an answer").status().as_u16()
    };
    let refused = async { while asked().await != 503 {} };
    within("503", refused).await;
    assert_eq!(app.get("/room/lobby/").await.status(), 200, "a guest");
    assert_eq!(open.ask(json!({"ping": {}})).await["ok"], json!({}), "who was in stays in");
    redis.restart().await;
    // The cache has forgotten them.
    assert_eq!(open.closed().await.0, 4501);
}

#[tokio::test]
async fn of_several_cookies_of_the_project_the_one_counts_that_django_takes() {
    let project = Project::on_sqlite();
    let mut people = People::of(&project).await;
    people.add("ann", json!({})).await;
    let ann = people.login("ann", "first").await;
    let lines = format!("database = '{}'", project.file().display());
    let app = TestApp::with(|settings| with(settings, &lines)).await;
    let (mut taken, mut not) = (0, 0);
    for line in [
        format!("sessionid={ann}"),
        format!("sessionid=other; sessionid={ann}"),
        format!("sessionid={ann}; sessionid=other"),
        format!("sessionid={ann}; sessionid="),
        format!("sessionid={ann}; sessionid"),
        format!("sessionid=\"{ann}\""),
        format!(" sessionid = {ann} "),
        format!("a=b;;=;sessionid={ann};x"),
        format!("Sessionid={ann}"),
    ] {
        let read = people.tell(json!({"do": "cookie", "line": line, "name": "sessionid"})).await;
        let socket = V1::with(app.address, "/ws/", &[("cookie", &line)]).await;
        let is_ann = socket.welcome["you"]["handle"] == "ann";
        assert_eq!(is_ann, read == json!(ann), "{line}");
        *(if is_ann { &mut taken } else { &mut not }) += 1;
    }
    assert!(taken >= 5 && not >= 3, "{taken} {not}");
}
