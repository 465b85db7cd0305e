BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE cases (
	id VARCHAR(32) NOT NULL, 
	submission_id VARCHAR(32) NOT NULL, 
	opened_at DATETIME NOT NULL, 
	outcome VARCHAR(16), 
	note TEXT NOT NULL, 
	reviewer VARCHAR(100), 
	resolved_at DATETIME, 
	CONSTRAINT pk_cases PRIMARY KEY (id), 
	CONSTRAINT uq_cases_submission_id UNIQUE (submission_id), 
	CONSTRAINT fk_cases_submission_id FOREIGN KEY(submission_id) REFERENCES submissions (id)
);
INSERT INTO "cases" VALUES('b32715849539a38b93e4022b7c10878f','cc92cdffbe31fae3c7a2827ccc94a3f0','2026-11-21 06:06:44.475943','not_synthetic','A cough, and a real one.','Ada','2026-11-21 06:06:44.787412');
INSERT INTO "cases" VALUES('5f12a5135b08ac2b8f19ff22d1413ade','a0dd3b88d3d0c5c0bc665cd087087736','2026-11-21 06:06:44.778228',NULL,'',NULL,NULL);
CREATE TABLE decisions (
	submission_id VARCHAR(32) NOT NULL, 
	action VARCHAR(16) NOT NULL, 
	reasons JSON NOT NULL, 
	policy_version VARCHAR(100) NOT NULL, 
	evidence_sha256 VARCHAR(64) NOT NULL, 
	decided_at DATETIME NOT NULL, 
	CONSTRAINT pk_decisions PRIMARY KEY (submission_id), 
	CONSTRAINT fk_decisions_submission_id FOREIGN KEY(submission_id) REFERENCES submissions (id)
);
INSERT INTO "decisions" VALUES('a5dd1b3e54d187dd12d37c2464e94c98','label','[{"code": "TIMING_SCATTER", "weight": 0.4039, "ranges": [[0.0, 2.0]], "params": {}}, {"code": "OVERTONES", "weight": 0.3963, "ranges": [[0.0, 2.0]], "params": {}}, {"code": "WAVE_SPREAD", "weight": 0.3928, "ranges": [[0.0, 2.0]], "params": {}}, {"code": "SOUND_MOTION", "weight": 0.3834, "ranges": [[0.0, 2.0]], "params": {}}]','default-d5d6e80dca4a','854c9ce2483faf8dc22ed505195a09aa925b80fd9da87479391bd5d11e81b5f1','2026-11-21 06:06:43.861199');
INSERT INTO "decisions" VALUES('6a7a9372f611e1b2c621d20fa7e5cbef','reject','[{"code": "NOT_AUDIO", "weight": 0.0, "ranges": [], "params": {}}]','default-d5d6e80dca4a','ae2c1cde9d4ec83b22c90b9e8bfc95777170105e62f3e1af15a75f5971d1f5e8','2026-11-21 06:06:44.182862');
INSERT INTO "decisions" VALUES('cc92cdffbe31fae3c7a2827ccc94a3f0','review','[{"code": "NOT_SPEECH", "weight": 0.0, "ranges": [[0.0, 1.5]], "params": {}}]','suspicious-93774b9045b7','0c80044c2366833214e16b9cd4d82243f6aa859f7ef67e816c181a1a4dca642d','2026-11-21 06:06:44.475943');
INSERT INTO "decisions" VALUES('a0dd3b88d3d0c5c0bc665cd087087736','review','[{"code": "WAVE_SPREAD", "weight": 0.5187, "ranges": [[0.0, 1.6]], "params": {}}, {"code": "TIMING_SCATTER", "weight": 0.4353, "ranges": [[0.0, 1.6]], "params": {}}, {"code": "OVERTONES", "weight": 0.4179, "ranges": [[0.0, 1.6]], "params": {}}, {"code": "TONE_JITTER", "weight": 0.2552, "ranges": [[0.0, 1.6]], "params": {}}]','suspicious-93774b9045b7','15b6cc9b4413d92c63eb29c21140b2a119247320a82dace285959a0d93ca9ed4','2026-11-21 06:06:44.778228');
CREATE TABLE evidence (
	submission_id VARCHAR(32) NOT NULL, 
	pcm_sha256 VARCHAR(64), 
	hint JSON, 
	analysed_s FLOAT, 
	total_s FLOAT, 
	container JSON NOT NULL, 
	pieces JSON NOT NULL, 
	CONSTRAINT pk_evidence PRIMARY KEY (submission_id), 
	CONSTRAINT fk_evidence_submission_id FOREIGN KEY(submission_id) REFERENCES submissions (id)
);
INSERT INTO "evidence" VALUES('a5dd1b3e54d187dd12d37c2464e94c98','79e49bd8cabad8131eda0cc20c3c6cf1dc6d3b133816b7c1c0e9c2acbf7f4a06','{"spoof_score": 0.701956, "band": "elevated", "reasons": [{"code": "TIMING_SCATTER", "weight": 0.4039, "ranges": [[0.0, 2.0]], "params": {}}, {"code": "OVERTONES", "weight": 0.3963, "ranges": [[0.0, 2.0]], "params": {}}, {"code": "WAVE_SPREAD", "weight": 0.3928, "ranges": [[0.0, 2.0]], "params": {}}, {"code": "SOUND_MOTION", "weight": 0.3834, "ranges": [[0.0, 2.0]], "params": {}}], "segments": [{"start_s": 0.0, "end_s": 2.0, "spoof_score": 0.702}], "coverage": {"analysed_s": 2.0, "total_s": 2.0, "speech_s": 1.298}, "signals": [{"name": "cepstral_spread", "value": 0.650533, "unit": "nat", "weight": 0.0338}, {"name": "cepstral_velocity", "value": 0.72853, "unit": "nat/frame", "weight": 0.3834}, {"name": "cepstral_acceleration", "value": 1.433159, "unit": "ratio", "weight": 0.0419}, {"name": "frequency_jitter", "value": 0.076559, "unit": "bins", "weight": 0.2399}, {"name": "delay_concentration", "value": 0.834058, "unit": "ratio", "weight": 0.4039}, {"name": "phase_drift", "value": 0.592066, "unit": "ratio", "weight": 0.067}, {"name": "modulation", "value": -1.788072, "unit": "nat", "weight": -0.1765}, {"name": "fine_structure", "value": 0.624588, "unit": "ratio", "weight": -0.1078}, {"name": "noise_floor", "value": 1.349761, "unit": "nat", "weight": 0.0796}, {"name": "pitch_steadiness", "value": 0.005116, "unit": "octaves/frame", "weight": 0.0998}, {"name": "bandwidth", "value": 0.81917, "unit": "correlation", "weight": -0.1552}, {"name": "excitation", "value": 1.501133, "unit": "nat", "weight": -0.0969}, {"name": "pulse_alignment", "value": 0.5495, "unit": "correlation", "weight": -0.0122}, {"name": "energy_dynamics", "value": 0.911845, "unit": "nat/frame", "weight": -0.2014}, {"name": "splices", "value": 1.087523, "unit": "ratio", "weight": 0.009}, {"name": "spectral_steps", "value": 0.921312, "unit": "nat", "weight": -0.2521}, {"name": "voice_texture", "value": 0.71651, "unit": "nat", "weight": -0.1275}, {"name": "quiet_phase", "value": 0.251055, "unit": "cosine", "weight": 0.2558}, {"name": "loud_phase", "value": 0.335784, "unit": "cosine", "weight": -0.2244}, {"name": "overtones", "value": 1.693038, "unit": "nat", "weight": 0.3963}, {"name": "phase_spread", "value": -2.687012, "unit": "nat", "weight": 0.3928}, {"name": "resonances", "value": 0.074484, "unit": "nat/frame", "weight": -0.1242}, {"name": "rebuilt_phase", "value": 0.152411, "unit": "ratio", "weight": -0.2313}], "bias": 0.1629, "detector": "wd-0.1.0-0e732504", "band_margin": 0.4319}',2.0,2.0,'{"format": "wav", "codec": "s16", "sample_rate": 16000.0, "channels": 1, "total_s": 2.0, "claimed_s": 2.0, "encoder": null, "tags": [], "has_c2pa": false, "isolation": {"has_no_network": true, "is_no_root": true, "has_no_files": true}}','[[0.0, 2.0]]');
INSERT INTO "evidence" VALUES('6a7a9372f611e1b2c621d20fa7e5cbef',NULL,NULL,NULL,NULL,'{}','[]');
INSERT INTO "evidence" VALUES('cc92cdffbe31fae3c7a2827ccc94a3f0','6e302e318843d5056b1646fb1b3c130bc14431ddd9e763ce93609b365bb1ef61','{"spoof_score": null, "band": "inconclusive", "reasons": [{"code": "NOT_SPEECH", "weight": 0.0, "ranges": [[0.0, 1.5]], "params": {}}], "segments": [{"start_s": 0.0, "end_s": 1.5, "spoof_score": null}], "coverage": {"analysed_s": 1.5, "total_s": 1.5, "speech_s": 0.0}, "signals": [], "bias": 0.1629, "detector": "wd-0.1.0-0e732504", "band_margin": 0.0}',1.5,1.5,'{"format": "wav", "codec": "s16", "sample_rate": 16000.0, "channels": 1, "total_s": 1.5, "claimed_s": 1.5, "encoder": null, "tags": [], "has_c2pa": false, "isolation": {"has_no_network": true, "is_no_root": true, "has_no_files": true}}','[[0.0, 1.5]]');
INSERT INTO "evidence" VALUES('a0dd3b88d3d0c5c0bc665cd087087736','bb60a992fa82600164db15df41ed9f6e053bdd97ff13f064722e508b66566dea','{"spoof_score": 0.575185, "band": "elevated", "reasons": [{"code": "WAVE_SPREAD", "weight": 0.5187, "ranges": [[0.0, 1.6]], "params": {}}, {"code": "TIMING_SCATTER", "weight": 0.4353, "ranges": [[0.0, 1.6]], "params": {}}, {"code": "OVERTONES", "weight": 0.4179, "ranges": [[0.0, 1.6]], "params": {}}, {"code": "TONE_JITTER", "weight": 0.2552, "ranges": [[0.0, 1.6]], "params": {}}], "segments": [{"start_s": 0.0, "end_s": 1.6, "spoof_score": 0.5752}], "coverage": {"analysed_s": 1.6, "total_s": 1.6, "speech_s": 1.027}, "signals": [{"name": "cepstral_spread", "value": 0.647311, "unit": "nat", "weight": 0.0397}, {"name": "cepstral_velocity", "value": 0.720514, "unit": "nat/frame", "weight": 0.2263}, {"name": "cepstral_acceleration", "value": 1.52527, "unit": "ratio", "weight": 0.0422}, {"name": "frequency_jitter", "value": 0.074754, "unit": "bins", "weight": 0.2552}, {"name": "delay_concentration", "value": 0.832449, "unit": "ratio", "weight": 0.4353}, {"name": "phase_drift", "value": 0.602838, "unit": "ratio", "weight": -0.0082}, {"name": "modulation", "value": -1.791027, "unit": "nat", "weight": -0.3445}, {"name": "fine_structure", "value": 0.642586, "unit": "ratio", "weight": -0.0267}, {"name": "noise_floor", "value": 1.229943, "unit": "nat", "weight": 0.1033}, {"name": "pitch_steadiness", "value": 0.004838, "unit": "octaves/frame", "weight": 0.0653}, {"name": "bandwidth", "value": 0.806715, "unit": "correlation", "weight": -0.1492}, {"name": "excitation", "value": 1.365914, "unit": "nat", "weight": 0.1007}, {"name": "pulse_alignment", "value": 0.495171, "unit": "correlation", "weight": -0.0846}, {"name": "energy_dynamics", "value": 0.775338, "unit": "nat/frame", "weight": -0.2141}, {"name": "splices", "value": 1.061415, "unit": "ratio", "weight": -0.1119}, {"name": "spectral_steps", "value": 0.867528, "unit": "nat", "weight": -0.3684}, {"name": "voice_texture", "value": 0.704147, "unit": "nat", "weight": -0.1654}, {"name": "quiet_phase", "value": 0.254886, "unit": "cosine", "weight": 0.1884}, {"name": "loud_phase", "value": 0.331557, "unit": "cosine", "weight": -0.2802}, {"name": "overtones", "value": 1.658179, "unit": "nat", "weight": 0.4179}, {"name": "phase_spread", "value": -2.662857, "unit": "nat", "weight": 0.5187}, {"name": "resonances", "value": 0.067972, "unit": "nat/frame", "weight": -0.1442}, {"name": "rebuilt_phase", "value": 0.102405, "unit": "ratio", "weight": -0.3555}], "bias": 0.1629, "detector": "wd-0.1.0-0e732504", "band_margin": 0.1455}',1.6,1.6,'{"format": "wav", "codec": "s16", "sample_rate": 16000.0, "channels": 1, "total_s": 1.6, "claimed_s": 1.6, "encoder": null, "tags": [], "has_c2pa": false, "isolation": {"has_no_network": true, "is_no_root": true, "has_no_files": true}}','[[0.0, 1.6]]');
CREATE TABLE findings (
	submission_id VARCHAR(32) NOT NULL, 
	position INTEGER NOT NULL, 
	"check" VARCHAR(32) NOT NULL, 
	version VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	spoof_score FLOAT, 
	reasons JSON NOT NULL, 
	details JSON NOT NULL, 
	CONSTRAINT pk_findings PRIMARY KEY (submission_id, position), 
	CONSTRAINT uq_findings_submission_id_check UNIQUE (submission_id, "check"), 
	CONSTRAINT fk_findings_submission_id FOREIGN KEY(submission_id) REFERENCES submissions (id)
);
INSERT INTO "findings" VALUES('a5dd1b3e54d187dd12d37c2464e94c98',0,'recompute','wd-0.1.0-0e732504','done',7.0195608729316161245e-01,'[{"code": "TIMING_SCATTER", "weight": 0.4039, "ranges": [[0.0, 2.0]], "params": {}}, {"code": "OVERTONES", "weight": 0.3963, "ranges": [[0.0, 2.0]], "params": {}}, {"code": "WAVE_SPREAD", "weight": 0.3928, "ranges": [[0.0, 2.0]], "params": {}}, {"code": "SOUND_MOTION", "weight": 0.3834, "ranges": [[0.0, 2.0]], "params": {}}]','{"band": "elevated", "coverage": {"analysed_s": 2.0, "total_s": 2.0, "speech_s": 1.298}, "is_partial": false}');
INSERT INTO "findings" VALUES('a5dd1b3e54d187dd12d37c2464e94c98',1,'claim','1','done',NULL,'[]','{"recomputed": "match", "differences": []}');
INSERT INTO "findings" VALUES('6a7a9372f611e1b2c621d20fa7e5cbef',0,'recompute','0.1.0','not_applicable',NULL,'[{"code": "NOT_AUDIO", "weight": 0.0, "ranges": [], "params": {}}]','{}');
INSERT INTO "findings" VALUES('6a7a9372f611e1b2c621d20fa7e5cbef',1,'claim','1','not_applicable',NULL,'[]','{"recomputed": "not_run"}');
INSERT INTO "findings" VALUES('cc92cdffbe31fae3c7a2827ccc94a3f0',0,'recompute','wd-0.1.0-0e732504','done',NULL,'[{"code": "NOT_SPEECH", "weight": 0.0, "ranges": [[0.0, 1.5]], "params": {}}]','{"band": "inconclusive", "coverage": {"analysed_s": 1.5, "total_s": 1.5, "speech_s": 0.0}, "is_partial": false}');
INSERT INTO "findings" VALUES('cc92cdffbe31fae3c7a2827ccc94a3f0',1,'claim','1','not_applicable',NULL,'[]','{"recomputed": "not_run"}');
INSERT INTO "findings" VALUES('a0dd3b88d3d0c5c0bc665cd087087736',0,'recompute','wd-0.1.0-0e732504','done',5.75185236340528760479e-01,'[{"code": "WAVE_SPREAD", "weight": 0.5187, "ranges": [[0.0, 1.6]], "params": {}}, {"code": "TIMING_SCATTER", "weight": 0.4353, "ranges": [[0.0, 1.6]], "params": {}}, {"code": "OVERTONES", "weight": 0.4179, "ranges": [[0.0, 1.6]], "params": {}}, {"code": "TONE_JITTER", "weight": 0.2552, "ranges": [[0.0, 1.6]], "params": {}}]','{"band": "elevated", "coverage": {"analysed_s": 1.6, "total_s": 1.6, "speech_s": 1.027}, "is_partial": false}');
INSERT INTO "findings" VALUES('a0dd3b88d3d0c5c0bc665cd087087736',1,'claim','1','not_applicable',NULL,'[]','{"recomputed": "not_run"}');
CREATE TABLE jobs (
	submission_id VARCHAR(32) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	fence INTEGER NOT NULL, 
	worker VARCHAR(64), 
	enqueued_at DATETIME NOT NULL, 
	due_at DATETIME NOT NULL, 
	CONSTRAINT pk_jobs PRIMARY KEY (submission_id)
);
INSERT INTO "jobs" VALUES('a5dd1b3e54d187dd12d37c2464e94c98','done',1,1,'test','2026-11-21 06:06:43.553282','2026-11-21 06:07:13.576385');
INSERT INTO "jobs" VALUES('6a7a9372f611e1b2c621d20fa7e5cbef','done',1,1,'test','2026-11-21 06:06:43.872947','2026-11-21 06:07:13.891279');
INSERT INTO "jobs" VALUES('cc92cdffbe31fae3c7a2827ccc94a3f0','done',1,1,'test','2026-11-21 06:06:44.210532','2026-11-21 06:07:14.231185');
INSERT INTO "jobs" VALUES('a0dd3b88d3d0c5c0bc665cd087087736','done',1,1,'test','2026-11-21 06:06:44.490939','2026-11-21 06:07:14.498918');
INSERT INTO "jobs" VALUES('e54b9b1e04a800aa31b07527c4437db5','leased',1,1,'gone-worker','2026-11-21 06:06:44.802636','2026-11-21 06:07:14.823098');
INSERT INTO "jobs" VALUES('1160d56cd92a4777e9aa78ecfc3bf247','queued',0,0,NULL,'2026-11-21 06:06:44.846472','2026-11-21 06:06:44.846472');
CREATE TABLE spent_tokens (
	cid VARCHAR(64) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	idempotency_key VARCHAR(200), 
	sid VARCHAR(64), 
	submission_id VARCHAR(32) NOT NULL, 
	expires_at INTEGER NOT NULL, 
	CONSTRAINT pk_spent_tokens PRIMARY KEY (cid)
);
INSERT INTO "spent_tokens" VALUES('7c1fee9dc598face668e42b4cc260644','2008c02a3a69630c99710479668337d661cc238d82c58601457cd4205ab6d21d','448bf9b7dceb514653be5d3dcf5c0a4a2f6e8358716ab33dc0e85ea020fb3712',NULL,'a5dd1b3e54d187dd12d37c2464e94c98',1795244803);
CREATE TABLE submissions (
	id VARCHAR(32) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	file_name TEXT NOT NULL, 
	media_type TEXT NOT NULL, 
	action VARCHAR(32) NOT NULL, 
	idempotency_key VARCHAR(200), 
	declared BOOLEAN NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	received_at DATETIME NOT NULL, 
	hint_check JSON NOT NULL, 
	CONSTRAINT pk_submissions PRIMARY KEY (id), 
	CONSTRAINT uq_submissions_action_idempotency_key_sha256 UNIQUE (action, idempotency_key, sha256)
);
INSERT INTO "submissions" VALUES('a5dd1b3e54d187dd12d37c2464e94c98','2008c02a3a69630c99710479668337d661cc238d82c58601457cd4205ab6d21d',64044,'mine.wav','audio/wav','voice-upload','448bf9b7dceb514653be5d3dcf5c0a4a2f6e8358716ab33dc0e85ea020fb3712',0,'decided','2026-11-21 06:06:43.545325','{"token": "ok", "able": true, "claim": {"v": 1, "cid": "7c1fee9dc598face668e42b4cc260644", "file": {"size": 64044, "type": "audio/wav", "sha256": "2008c02a3a69630c99710479668337d661cc238d82c58601457cd4205ab6d21d"}, "det": {"id": "wd-test", "sha256": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"}, "band": "elevated", "q": 702, "reasons": ["TIMING_SCATTER", "OVERTONES", "WAVE_SPREAD", "SOUND_MOTION"], "cov": {"analysed_ms": 2000, "total_ms": 2000}, "exact": {"n_frames": 32000, "total": 9007199254710853, "energy": 254358912893}, "near": {"seg": "rw", "stat": [3, 38, 4, 24, 40, 7, -18, -11, 8, 10, -16, -10, -1, -20, 1, -25]}, "env": {"decoder": "wav", "rate": 16000.0}, "t": {}, "declared": null}, "cid": "7c1fee9dc598face668e42b4cc260644", "expires_at": 1795244803, "recomputed": "match", "floor": "accept", "codes": []}');
INSERT INTO "submissions" VALUES('6a7a9372f611e1b2c621d20fa7e5cbef','ca4df394f419ade17bd53dc46957155f3e8778fc6a6ed69d111258c728286868',19,'notes.txt','text/plain','voice-upload',NULL,0,'decided','2026-11-21 06:06:43.871155','{"token": "absent", "able": true, "claim": null, "cid": null, "expires_at": null, "recomputed": "not_run", "floor": "accept", "codes": ["HINT_ABSENT"]}');
INSERT INTO "submissions" VALUES('cc92cdffbe31fae3c7a2827ccc94a3f0','0fe9f6fcd87bc72ea86dc701bd58a4ea03fccfcfdc56ecd541f13acd3376bc0c',48044,'voice.wav','audio/wav','voice-upload',NULL,1,'decided','2026-11-21 06:06:44.202639','{"token": "absent", "able": true, "claim": null, "cid": null, "expires_at": null, "recomputed": "not_run", "floor": "accept", "codes": ["HINT_ABSENT"]}');
INSERT INTO "submissions" VALUES('a0dd3b88d3d0c5c0bc665cd087087736','ac7ed9debea01a79cf1a5fda79633aae0c88b78c1cf0ffe28a882227b118736f',51244,'voice.wav','audio/wav','voice-upload',NULL,0,'decided','2026-11-21 06:06:44.489196','{"token": "absent", "able": true, "claim": null, "cid": null, "expires_at": null, "recomputed": "not_run", "floor": "accept", "codes": ["HINT_ABSENT"]}');
INSERT INTO "submissions" VALUES('e54b9b1e04a800aa31b07527c4437db5','34b442e6bc612117a48cccd2fa2bb7c15988c1902a355b6e02898d988b655d82',32044,'voice.wav','audio/wav','voice-upload',NULL,0,'queued','2026-11-21 06:06:44.799253','{"token": "absent", "able": true, "claim": null, "cid": null, "expires_at": null, "recomputed": "not_run", "floor": "accept", "codes": ["HINT_ABSENT"]}');
INSERT INTO "submissions" VALUES('1160d56cd92a4777e9aa78ecfc3bf247','61cd438a6510c78e8cbf551278fe8fc31ca40710133e4ee6eb05335eb3ce4790',35244,'voice.wav','audio/wav','voice-upload',NULL,0,'queued','2026-11-21 06:06:44.840465','{"token": "absent", "able": true, "claim": null, "cid": null, "expires_at": null, "recomputed": "not_run", "floor": "accept", "codes": ["HINT_ABSENT"]}');
CREATE TABLE workers (
	id VARCHAR(64) NOT NULL, 
	seen_at DATETIME NOT NULL, 
	CONSTRAINT pk_workers PRIMARY KEY (id)
);
CREATE INDEX ix_submissions_sha256 ON submissions (sha256);
CREATE INDEX ix_cases_outcome_opened_at ON cases (outcome, opened_at);
CREATE INDEX ix_jobs_state_due_at ON jobs (state, due_at);
COMMIT;
