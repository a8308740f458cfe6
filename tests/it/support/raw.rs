//! A client that sends what it likes: gRPC by hand over HTTP/2.

use std::net::SocketAddr;

use h2::{SendStream, client::SendRequest};
use tonic::{
    Status,
    codegen::{
        Bytes,
        http::{HeaderMap, Request},
    },
};

/// The answer to a call.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) headers: HeaderMap,
    pub(crate) status: Status,
}

/// A connection.
#[derive(Clone)]
pub(crate) struct RawClient(SendRequest<Bytes>);

impl RawClient {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        let socket = tokio::net::TcpStream::connect(addr).await.unwrap();
        let (client, connection) = h2::client::handshake(socket).await.unwrap();
        tokio::spawn(connection);
        Self(client)
    }

    /// Opens a call and sends nothing.
    pub(crate) async fn open(&self, path: &str, headers: &[(&str, &str)]) -> SendStream<Bytes> {
        let mut client = self.0.clone().ready().await.unwrap();
        let (_, sender) = client.send_request(head(path, headers), false).unwrap();
        sender
    }

    /// Calls a method with a body as it is, and headers beside the usual ones.
    pub(crate) async fn call(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Raw {
        let mut client = self.0.clone().ready().await.unwrap();
        let (response, mut sender) = client.send_request(head(path, headers), false).unwrap();
        // The server may have answered, and closed its side, before all of the body has come.
        drop(sender.send_data(Bytes::copy_from_slice(body), true));
        let response = response.await.unwrap();
        let headers = response.headers().clone();
        let mut body = response.into_body();
        while let Some(data) = body.data().await {
            let length = data.unwrap().len();
            body.flow_control().release_capacity(length).unwrap();
        }
        let trailers = body.trailers().await.unwrap().unwrap_or_default();
        let status = Status::from_header_map(&headers)
            .or_else(|| Status::from_header_map(&trailers))
            .unwrap();
        Raw { headers, status }
    }
}

fn head(path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (key, value) in headers {
        request = request.header(*key, *value);
    }
    request.body(()).unwrap()
}

/// A message in its gRPC frame.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0], length.to_be_bytes().as_slice(), message].concat()
}
