-- The tables that need pgvector. They are a step of their own, which runs as soon as the extension exists.

-- halfvec in a narrow table of its own: a wide row would move its vector out of line.
CREATE TABLE embedding_1 (
  text_id bigint PRIMARY KEY REFERENCES search_text ON DELETE CASCADE,
  embedding halfvec(384) NOT NULL
);
CREATE INDEX embedding_1_hnsw ON embedding_1 USING hnsw (embedding halfvec_cosine_ops) WITH (m = 16, ef_construction = 64);
