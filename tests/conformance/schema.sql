-- What the conformance suite's fixture tools call: see toolset/.
CREATE SCHEMA conformance;

-- One red pixel as PNG.
CREATE FUNCTION conformance.image() RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC'
$$;

-- Eight samples of silence: RIFF/WAVE, PCM, one channel, 8 kHz, 8 bits.
CREATE FUNCTION conformance.audio() RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT encode(
    'RIFF'::bytea || '\x2c000000'::bytea || 'WAVEfmt '::bytea
    || '\x10000000'::bytea || '\x0100'::bytea || '\x0100'::bytea
    || '\x401f0000'::bytea || '\x401f0000'::bytea || '\x0100'::bytea || '\x0800'::bytea
    || 'data'::bytea || '\x08000000'::bytea || '\x8080808080808080'::bytea,
    'base64')
$$;

CREATE FUNCTION conformance.text_block(words text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_array(jsonb_build_object('type', 'text', 'text', words))
$$;

-- Always fails; the text of the error is what the caller sees.
CREATE FUNCTION conformance.fail() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'This tool intentionally returns an error for testing';
END
$$;

-- Reports progress through notices, with a pause between them so that they are seen one by one.
CREATE FUNCTION conformance.with_progress() RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  RAISE NOTICE 'started' USING DETAIL = '0/100';
  PERFORM pg_sleep(0.05);
  RAISE NOTICE 'half way' USING DETAIL = '50/100';
  PERFORM pg_sleep(0.05);
  RAISE NOTICE 'done' USING DETAIL = '100/100';
  RETURN conformance.text_block('Reported progress three times.');
END
$$;
