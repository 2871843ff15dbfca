-- Records, their chain, and the roles' helper functions. Every statement runs in the schema that --schema names.

-- The lower bound of all UUIDs version 7 of a time.
CREATE FUNCTION id_at(t timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT (lpad(to_hex(floor(extract(epoch FROM t) * 1000)::bigint), 12, '0') || '70008000000000000000')::uuid $$;

-- What text search reads: the words of a record, without stemming, so that an exit code or a version can be found. Every
-- punctuation mark separates words: the parser would keep a host, a path or a version as one word, and nobody could find
-- OutOfMemoryError in java.lang.OutOfMemoryError. The program separates the words of a query in the same way.
-- A regular expression, because translate() takes ten times as long, and every write pays for it.
CREATE FUNCTION record_words(summary text, error_message text, action_type text, name text, target text)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT to_tsvector('pg_catalog.simple'::regconfig, regexp_replace(
     coalesce(summary, '') || ' ' || coalesce(error_message, '') || ' ' || action_type || ' ' || name
     || ' ' || coalesce(target, ''),
     '[!-/:-@\[-`{-~]', ' ', 'g')) $$;

-- The text of which a vector is made. Records with the same text share it.
CREATE TABLE search_text (
  text_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  text_hash bytea NOT NULL UNIQUE,
  text text NOT NULL
);

-- One partition per month. There is no default partition: it would hide records from the months that are made later.
CREATE TABLE audit_event (
  event_id uuid NOT NULL CHECK (substr(event_id::text, 15, 1) = '7' AND substr(event_id::text, 20, 1) IN ('8', '9', 'a', 'b')),
  seq bigint NOT NULL CHECK (seq > 0),
  kind text NOT NULL CHECK (kind IN ('remediation', 'ai_analysis', 'workflow', 'execution', 'toolset', 'system')),
  occurred_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  recorded_by text NOT NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
  namespace text NOT NULL CHECK (length(namespace) <= 255),
  cluster text NOT NULL DEFAULT '',
  phase text NOT NULL CHECK (phase IN ('pending', 'processing', 'completed', 'failed')),
  status text CHECK (status IN ('success', 'failure', 'pending', 'running')),
  action_type text NOT NULL CHECK (length(action_type) BETWEEN 1 AND 100),
  correlation_id text NOT NULL CHECK (length(correlation_id) BETWEEN 1 AND 255),
  parent_event_id uuid,
  severity text,
  environment text,
  target_resource text CHECK (length(target_resource) <= 512),
  fingerprint text,
  actor_type text,
  actor_id text,
  duration_ms bigint CHECK (duration_ms >= 0),
  trace_id text,
  summary text,
  error_message text,
  data jsonb NOT NULL DEFAULT '{}',
  text_id bigint REFERENCES search_text,
  -- Stored, because a search compares it with thousands of records, and to compute it takes far longer than to read it.
  words tsvector GENERATED ALWAYS AS (record_words(summary, error_message, action_type, name, target_resource)) STORED,
  redaction_version smallint NOT NULL,
  content_hash bytea NOT NULL CHECK (length(content_hash) = 32),
  chain_hash bytea NOT NULL CHECK (length(chain_hash) = 32),
  chain_key smallint NOT NULL,
  -- The form in which chain_hash was made.
  chain_version smallint NOT NULL,
  PRIMARY KEY (event_id)
) PARTITION BY RANGE (event_id);

CREATE INDEX audit_event_seq ON audit_event (seq);
CREATE INDEX audit_event_correlation ON audit_event (correlation_id, event_id DESC);
-- With what a search by meaning reads of the records of a namespace before it chooses its plan: without reading the records,
-- this takes a fifth of the time.
CREATE INDEX audit_event_namespace ON audit_event (namespace, event_id DESC) INCLUDE (text_id, cluster);
CREATE INDEX audit_event_kind ON audit_event (kind, action_type, event_id DESC);
CREATE INDEX audit_event_text ON audit_event (text_id, event_id DESC);
CREATE INDEX audit_event_fingerprint ON audit_event (fingerprint, event_id DESC) WHERE fingerprint IS NOT NULL;
CREATE INDEX audit_event_target ON audit_event (target_resource, event_id DESC) WHERE target_resource IS NOT NULL;
CREATE INDEX audit_event_words ON audit_event USING gin (words);

-- The head of the chain: one row. Whoever locks it has the next sequence number. While an old snapshot is open, as that of a
-- dump, none of its old versions can be removed. The index finds the newest one at once, because its number is the greatest. A
-- unique index would look at all versions for each update.
CREATE TABLE chain_head (
  seq bigint NOT NULL,
  hash bytea NOT NULL CHECK (length(hash) = 32),
  chain_key smallint NOT NULL,
  recorded_at timestamptz NOT NULL
);
CREATE INDEX chain_head_seq ON chain_head (seq);
INSERT INTO chain_head (seq, hash, chain_key, recorded_at) VALUES (0, decode(repeat('00', 32), 'hex'), 0, '-infinity');

-- A record is never changed and never removed on its own. Months are dropped as a whole.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'audit records are append-only' USING ERRCODE = '23514'; END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Models that make vectors, and the outbox: texts that wait for their vector. They need no pgvector, so that jobs can wait for it.
CREATE TABLE embedding_model (
  model_id smallint PRIMARY KEY,
  name text NOT NULL,
  dims int NOT NULL,
  state text NOT NULL CHECK (state IN ('building', 'active', 'retired'))
);
CREATE TABLE embedding_job (
  text_id bigint NOT NULL REFERENCES search_text ON DELETE CASCADE,
  model_id smallint NOT NULL,
  attempts int NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL DEFAULT now(),
  last_error text,
  PRIMARY KEY (text_id, model_id)
);
CREATE INDEX embedding_job_due ON embedding_job (due_at);

-- How long records are kept. The owner sets it, so that the role of the service cannot make months outside of it.
CREATE TABLE retention (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  keep interval NOT NULL,
  floor interval NOT NULL
);
INSERT INTO retention (keep, floor) VALUES ('400 days', '30 days');

-- Makes the partition of a month, and says whether it was missing. It runs with the rights of the owner, for a role that cannot
-- create tables. LIKE, CHECK and ATTACH leave the parent readable and writable for all others. DS001: the time is outside of the
-- retention.
CREATE FUNCTION ensure_month(at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
DECLARE
  first timestamp := date_trunc('month', at AT TIME ZONE 'UTC');
  lower uuid := id_at(first AT TIME ZONE 'UTC');
  upper uuid := id_at((first + interval '1 month') AT TIME ZONE 'UTC');
  month text := 'audit_event_' || to_char(first, 'YYYY_MM');
BEGIN
  IF at < now() - (SELECT keep FROM retention) OR at > now() + interval '4 months' THEN
    RAISE EXCEPTION 'the time % is outside of the retention', at USING ERRCODE = 'DS001';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended(current_schema() || '.ensure_month', 0));
  IF to_regclass(format('%I.%I', current_schema(), month)) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE audit_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED, '
    'CONSTRAINT month_bounds CHECK (event_id >= %L AND event_id < %L))', month, lower, upper);
  EXECUTE format('ALTER TABLE audit_event ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', month, lower, upper);
  EXECUTE format('ALTER TABLE %I DROP CONSTRAINT month_bounds', month);
  RETURN true;
END $$;
REVOKE EXECUTE ON FUNCTION ensure_month(timestamptz) FROM PUBLIC;

-- Drops the partition of a month. Only the owner can: it runs with the rights of its caller. DS002: the month is too young.
-- DS003: this transaction has not recorded in the chain which numbers are gone.
CREATE FUNCTION drop_month(at timestamptz) RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  first timestamp := date_trunc('month', at AT TIME ZONE 'UTC');
  month text := 'audit_event_' || to_char(first, 'YYYY_MM');
BEGIN
  IF (first + interval '1 month') AT TIME ZONE 'UTC' > now() - (SELECT floor FROM retention) THEN
    RAISE EXCEPTION 'the month % is younger than the retention floor', to_char(first, 'YYYY-MM') USING ERRCODE = 'DS002';
  END IF;
  IF NOT EXISTS (SELECT FROM audit_event WHERE kind = 'system' AND action_type = 'month_dropped'
                 AND name = to_char(first, 'YYYY-MM') AND xmin = pg_current_xact_id()::xid) THEN
    RAISE EXCEPTION 'the chain does not say that the month % is dropped; use datastorage drop-month',
      to_char(first, 'YYYY-MM') USING ERRCODE = 'DS003';
  END IF;
  EXECUTE format('DROP TABLE %I', month);
END $$;
REVOKE EXECUTE ON FUNCTION drop_month(timestamptz) FROM PUBLIC;
