//! The TCP connection as hyper has it: after so many bytes that were read at a stretch the task lets others have their turn.
//!
//! hyper reads a body for as long as there is something of it. Four hundred bodies of 200 kB that come at once would each be read and kept
//! before anybody else is answered.

use std::{
    io::{IoSlice, Result},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How much is read before others have their turn, in bytes.
const STRETCH: usize = 16 * 1024;

/// What hyper reads from and writes to.
pub struct Stream {
    tcp: TcpStream,
    /// How much was read since others had their turn, in bytes.
    read: usize,
}

impl Stream {
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, read: 0 }
    }

    /// The connection, for who takes it over from HTTP.
    pub fn into_inner(self) -> TcpStream {
        self.tcp
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if self.read >= STRETCH {
            self.read = 0;
            // A task that wakes itself while it runs goes to the end of the line.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.tcp).poll_read(context, buffer))?;
        self.read += buffer.filled().len() - before;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        net::{TcpListener, TcpStream as Client},
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering::SeqCst},
        },
        task::{Wake, Waker},
    };

    use super::*;

    /// How often it was woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[tokio::test]
    async fn who_reads_much_lets_others_have_their_turn_and_comes_back() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut client = Client::connect(listener.local_addr()?)?;
        let (tcp, _) = listener.accept()?;
        tcp.set_nonblocking(true)?;
        let mut stream = Stream::new(TcpStream::from_std(tcp)?);
        // It fits into the buffers of the system.
        client.write_all(&vec![b'x'; 3 * STRETCH])?;
        drop(client);

        let (mut read, mut turns) = (0, 0);
        let mut bytes = vec![0; STRETCH / 2];
        while read < 3 * STRETCH {
            stream.tcp.readable().await?;
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(woken.clone());
            let mut at_a_stretch = 0;
            // As hyper does: read until there is nothing.
            loop {
                let mut buffer = ReadBuf::new(&mut bytes);
                let polled = Pin::new(&mut stream).poll_read(&mut Context::from_waker(&waker), &mut buffer);
                match polled {
                    Poll::Ready(read) => read?,
                    Poll::Pending => break,
                }
                if buffer.filled().is_empty() {
                    break;
                }
                at_a_stretch += buffer.filled().len();
            }
            assert!(at_a_stretch < STRETCH + bytes.len(), "{at_a_stretch} bytes at a stretch");
            turns += woken.0.load(SeqCst);
            read += at_a_stretch;
        }
        assert_eq!(read, 3 * STRETCH);
        assert!(turns >= 2, "{turns} times it has woken itself");
        Ok(())
    }
}
