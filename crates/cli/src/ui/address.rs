//! Addresses of pages.

use url::form_urlencoded::byte_serialize;

/// The address of the page of a Service, from the first page. The names of Kubernetes need no escaping, but a file can hold any name.
pub(super) fn service_address(namespace: &str, name: &str, query: &str) -> String {
    // In a path, a plus sign is no space.
    let part = |text: &str| byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
    format!("services/{}/{}{query}", part(namespace), part(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_the_address() {
        assert_eq!(
            service_address("monitoring", "grafana", "?config=a%2Fb"),
            "services/monitoring/grafana?config=a%2Fb"
        );
        assert_eq!(service_address("x", "a/b?c#d e\"", ""), "services/x/a%2Fb%3Fc%23d%20e%22");
    }
}
