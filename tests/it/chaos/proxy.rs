//! A way from clients to one broker that can be cut: broken off, or silent.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Connections break, and new ones break at once.
    Broken,
    /// Nothing comes through, and nobody is told.
    Silent,
}

/// See the module. Gone when it is dropped.
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    way: watch::Sender<Way>,
    serving: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(listen: &str, behind: &str) -> Proxy {
        let listener = TcpListener::bind(listen).await.expect("the proxy's port is free");
        let (way, seen) = watch::channel(Way::Open);
        let behind = behind.to_owned();
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, behind.clone(), seen.clone()));
            }
        });
        Proxy { address: listen.to_owned(), way, serving }
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
        self.way.send_replace(Way::Broken);
    }
}

/// Carries bytes both ways while the way is open. Dropping the copy in the middle loses what it holds, so a silent
/// connection never speaks again: it breaks when the way is open anew, as one does whose packets were lost for long.
async fn carry(mut client: TcpStream, behind: String, mut way: watch::Receiver<Way>) {
    let is = |wanted: Way| move |way: &Way| *way == wanted;
    if *way.borrow_and_update() == Way::Open {
        let Ok(mut broker) = TcpStream::connect(&behind).await else { return };
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut broker) => return,
            _ = way.changed() => {}
        }
        // Both ends stay connected as long as the way is silent.
        if *way.borrow_and_update() == Way::Silent {
            let _ = way.wait_for(|way| !is(Way::Silent)(way)).await;
        }
    } else if *way.borrow() == Way::Silent {
        let _ = way.wait_for(|way| !is(Way::Silent)(way)).await;
    }
}
