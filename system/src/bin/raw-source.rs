//! An encoder for tests: `raw-source MIME FILE MOUNT USER PASSWORD HOST…` sends the file's frames in real time by
//! PUT, and goes on with the next frame at the next HOST or HOST:PORT when a connection dies. Prints what it does.

use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use autoradio_media::{Cut, FrameKind, Parser};
use bytes::Bytes;

const LIMIT: Duration = Duration::from_secs(2);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mime, file, mount, user, password, hosts @ ..] = arguments.as_slice() else {
        eprintln!("usage: raw-source MIME FILE MOUNT USER PASSWORD HOST…");
        std::process::exit(2);
    };
    let bytes = Bytes::from(std::fs::read(file).expect("the file can be read"));
    let mut parser = Parser::new(mime);
    let mut frames = parser.push(&bytes);
    frames.extend(parser.finish());
    println!("{} frames", frames.len());
    send_all(&frames, mime, mount, &format!("{user}:{password}"), hosts);
}

fn send_all(frames: &[Cut], mime: &str, mount: &str, login: &str, hosts: &[String]) {
    let (start, mut played_us, mut next) = (Instant::now(), 0u64, 0usize);
    for turn in 0.. {
        let host = &hosts[turn % hosts.len()];
        let mut stream = match connect(host, mime, mount, login) {
            Ok(stream) => stream,
            Err(error) => {
                println!("{:?} {host}: {error}", start.elapsed());
                std::thread::sleep(Duration::from_millis(200));
                continue;
            }
        };
        println!("{:?} {host}: on air with frame {next}", start.elapsed());
        // A new connection starts with the codec's headers, as an encoder's does.
        let headers = frames[..next].iter().rfind(|f| f.kind == FrameKind::Header);
        if let Some(Err(error)) = headers.map(|headers| stream.write_all(&headers.data)) {
            println!("{:?} {host}: {error} in the headers", start.elapsed());
            continue;
        }
        while let Some(frame) = frames.get(next) {
            if let Err(error) = stream.write_all(&frame.data) {
                println!("{:?} {host}: {error} at frame {next}", start.elapsed());
                break;
            }
            next += 1;
            played_us += u64::from(frame.duration_us);
            let due = Duration::from_micros(played_us);
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
        if next == frames.len() {
            println!("{:?} all sent", start.elapsed());
            return;
        }
    }
}

fn connect(host: &str, mime: &str, mount: &str, login: &str) -> std::io::Result<TcpStream> {
    let name = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let address = name.to_socket_addrs()?.next().ok_or(std::io::ErrorKind::NotFound)?;
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LIMIT * 3))?;
    stream.set_write_timeout(Some(LIMIT))?;
    write!(
        stream,
        "PUT {mount} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {}\r\nContent-Type: {mime}\r\n\
         User-Agent: raw-source\r\nExpect: 100-continue\r\n\r\n",
        base64(login.as_bytes())
    )?;
    let (mut answer, mut byte) = (Vec::new(), [0u8; 1]);
    // The interim answer, then the final one.
    while !answer.ends_with(b"200 OK\r\n\r\n") {
        if stream.read(&mut byte)? == 0 || answer.len() > 2_000 {
            return Err(std::io::Error::other(String::from_utf8_lossy(&answer).into_owned()));
        }
        answer.push(byte[0]);
    }
    Ok(stream)
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().enumerate().fold(0u32, |bits, (i, b)| bits | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            let sextet = (bits >> (18 - 6 * i)) & 63;
            text.push(if i <= group.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    text
}
