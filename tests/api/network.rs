//! The network in which the packets of a controller are counted.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{
    Reply,
    net::{Kind, Network, Packet, counted},
    prelude::*,
    services,
};

use crate::{
    harness::without_network,
    stage::{CONFIG, without_health},
};

/// How long a connection inside may take. It takes microseconds.
const PATIENCE: Duration = Duration::from_secs(20);

fn address(text: &str) -> Result<SocketAddr> {
    text.parse().with_context(|| format!("{text} is no address"))
}

/// Sends a request from where the operator is, and returns the answer.
fn ask(network: &Network, at: SocketAddr) -> Result<String> {
    network.inside(|| {
        let mut stream = TcpStream::connect_timeout(&at, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    })
}

/// Where connections were opened to.
fn opened(packets: &[Packet]) -> Vec<SocketAddr> {
    let opened = packets.iter().filter(|packet| packet.kind == Kind::Tcp { opens: true });
    opened.map(|packet| SocketAddr::new(packet.to, packet.port)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_can_be_called_and_every_packet_to_it_is_counted() -> Result<()> {
    let Some(network) = Network::create()? else { return without_network() };
    ensure!(network.packets(&[]).is_empty(), "a network that nobody uses is silent");
    let _all = network.serve(address("0.0.0.0:80")?, Reply::Bytes(b"any".to_vec()))?;
    let _all_v6 = network.serve(address("[::]:80")?, Reply::Bytes(b"any of six".to_vec()))?;
    let pod = network.serve(address("10.244.0.7:80")?, Reply::Bytes(b"the pod".to_vec()))?;
    let called = [
        ("10.244.0.7:80", "the pod"),
        ("10.244.0.8:80", "any"),
        ("169.254.169.254:80", "any"),
        ("100.100.100.200:80", "any"),
        ("[fd00:ec2::254]:80", "any of six"),
    ];
    for (at, expected) in called {
        assert_eq!(ask(&network, address(at)?).with_context(|| at.to_owned())?, expected, "{at}");
    }
    let expected: Vec<_> = called.iter().map(|(at, _)| address(at)).collect::<Result<_>>()?;
    let packets = network.packets(&[]);
    assert_eq!(opened(&packets), expected, "{:?}", counted(&packets));
    ensure!(pod.requests() == ["GET / HTTP/1.0\r\n\r\n"]);
    network.require_complete()
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_are_counted_also_where_nobody_answers_and_on_the_loopback_interface() -> Result<()> {
    let Some(network) = Network::create()? else { return without_network() };
    let closed = [address("203.0.113.9:22")?, address("127.0.0.1:4711")?, address("[::1]:4712")?];
    for at in closed {
        ensure!(network.inside(|| Ok(TcpStream::connect_timeout(&at, PATIENCE).is_err()))?, "{at} refuses");
    }
    let own = SocketAddr::new(Network::OPERATOR[0], 4713);
    ensure!(network.inside(|| Ok(TcpStream::connect_timeout(&own, PATIENCE).is_err()))?);
    network.inside(|| Ok(UdpSocket::bind("0.0.0.0:0")?.send_to(b"a query", "198.51.100.1:53")?))?;
    let packets = network.packets(&[]);
    let mut seen = opened(&packets);
    seen.sort_unstable();
    let mut expected = [&closed[..], &[own]].concat();
    expected.sort_unstable();
    assert_eq!(seen, expected, "{:?}", counted(&packets));
    let query = Packet { kind: Kind::Udp, to: IpAddr::from([198, 51, 100, 1]), port: 53 };
    ensure!(packets.contains(&query), "{:?}", counted(&packets));
    ensure!(!opened(&network.packets(&[4711])).contains(&closed[1]), "what a test expects is left out");
    network.require_complete()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_in_a_network_of_its_own_works_and_sends_nothing_to_anybody_but_the_api_server() -> Result<()> {
    let Some(network) = Network::create()? else { return without_network() };
    scenario("network", async |world| {
        let (apps, agent) = (world.namespace("apps").await?, world.namespace("agent").await?);
        let options = ControllerOptions { network: Some(network.clone()), ..ControllerOptions::default() };
        let controller = world.start_controller(options).await?;
        world.configure(&agent, CONFIG, &without_health(&[&apps])).await?;
        world.create(&services::grafana(&apps)).await?;
        world.tools(&agent, "Grafana is listed", |tools| tools.types() == ["grafana"]).await?;
        ensure!(controller.metric("dynamictoolset_services_watched").await? == Some(1.0));
        let packets = network.packets(&[controller.health_port(), controller.metrics_port()]);
        ensure!(packets.is_empty(), "{:?}", counted(&packets));
        network.require_complete()
    })
    .await
}
