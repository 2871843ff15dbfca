//! The classes of secrets.

macro_rules! classes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)+) => {
        /// The classes of secrets that are redacted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Class { $($(#[$doc])* $variant,)+ }

        impl Class {
            /// All classes, in the order in which their expressions are applied.
            pub const ALL: &'static [Class] = &[$(Class::$variant,)+];

            /// The word in `[REDACTED:<class>]` and in labels of metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The place in [`Class::ALL`].
            pub fn index(self) -> usize {
                self as usize
            }
        }
    };
}

classes! {
    /// A private key in PEM form.
    PrivateKey = "private_key",
    /// The private key of a Google service account.
    GcpServiceAccountKey = "gcp_service_account_key",
    /// The values of a Secret's `data` or `stringData`.
    KubernetesSecret = "kubernetes_secret",
    /// A JSON Web Token.
    Jwt = "jwt",
    /// The password in the URL of a PostgreSQL database.
    PostgresqlUrl = "postgresql_url",
    /// The password in the URL of a MySQL database.
    MysqlUrl = "mysql_url",
    /// The password in the URL of a MongoDB database.
    MongodbUrl = "mongodb_url",
    /// The password in the URL of a Redis server.
    RedisUrl = "redis_url",
    /// The password in any other URL.
    UrlCredentials = "url_credentials",
    /// The key in a connection string of Azure.
    AzureConnectionString = "azure_connection_string",
    /// A token of GitHub.
    GithubToken = "github_token",
    /// A token of GitLab.
    GitlabToken = "gitlab_token",
    /// A token of Slack.
    SlackToken = "slack_token",
    /// A key of Stripe.
    StripeKey = "stripe_key",
    /// A key that begins with `sk-`, as OpenAI's do.
    OpenaiKey = "openai_key",
    /// The id of an AWS access key.
    AwsAccessKeyId = "aws_access_key_id",
    /// An AWS secret key, by the name before it.
    AwsSecretKey = "aws_secret_key",
    /// The token after `Bearer`.
    BearerToken = "bearer_token",
    /// The credentials after `Basic`.
    BasicAuthorization = "basic_authorization",
    /// A password as a member of JSON.
    PasswordJson = "password_json",
    /// A password after `=` or `:`.
    Password = "password",
    /// An API key as a member of JSON.
    ApiKeyJson = "api_key_json",
    /// An API key after `=` or `:`.
    ApiKey = "api_key",
    /// A client secret.
    ClientSecret = "client_secret",
    /// An access or refresh token by its name.
    AccessToken = "access_token",
    /// Another token by its name.
    Token = "token",
}
