-- Keys and indexes of the database `panda`, as in production and no more: a demo with better indexes would flatter the
-- tools. Made after the data is loaded, which is several times faster.

ALTER TABLE doma_panda.jobsactive4 ADD PRIMARY KEY (pandaid);
ALTER TABLE doma_panda.jobsactive4 ADD UNIQUE (jeditaskid, pandaid);
CREATE INDEX ON doma_panda.jobsactive4 (computingsite, jobstatus);
CREATE INDEX ON doma_panda.jobsactive4 (computingsite, prodsourcelabel, currentpriority, jobstatus, maxdiskcount, commandtopilot);
CREATE INDEX ON doma_panda.jobsactive4 (currentpriority, pandaid);
CREATE INDEX ON doma_panda.jobsactive4 (jeditaskid, jobstatus);
CREATE INDEX ON doma_panda.jobsactive4 (jobdefinitionid);
CREATE INDEX ON doma_panda.jobsactive4 (jobname);
CREATE INDEX ON doma_panda.jobsactive4 (jobstatus, prodsourcelabel, workinggroup);
CREATE INDEX ON doma_panda.jobsactive4 (modificationtime);
CREATE INDEX ON doma_panda.jobsactive4 (proddblock, jobstatus);
CREATE INDEX ON doma_panda.jobsactive4 (produsername, jobstatus);
CREATE INDEX ON doma_panda.jobsactive4 (reqid);
CREATE INDEX ON doma_panda.jobsactive4 (statechangetime);
CREATE INDEX ON doma_panda.jobsactive4 (workqueue_id, cloud, jobstatus, prodsourcelabel, currentpriority);

ALTER TABLE doma_panda.jobsarchived4 ADD PRIMARY KEY (pandaid, modificationtime);
CREATE INDEX ON doma_panda.jobsarchived4 (batchid);
CREATE INDEX ON doma_panda.jobsarchived4 (computingsite, cloud, jobstatus, prodsourcelabel, processingtype, modificationtime);
CREATE INDEX ON doma_panda.jobsarchived4 (destinationdblock);
CREATE INDEX ON doma_panda.jobsarchived4 (jeditaskid, jobstatus, prodsourcelabel, pandaid);
CREATE INDEX ON doma_panda.jobsarchived4 (jobdefinitionid);
CREATE INDEX ON doma_panda.jobsarchived4 (jobname);
CREATE INDEX ON doma_panda.jobsarchived4 (jobsetid);
CREATE INDEX ON doma_panda.jobsarchived4 (lockedby, prodsourcelabel, ( CASE WHEN (statechangetime > proddbupdatetime) THEN 1 ELSE NULL::integer END));
CREATE INDEX ON doma_panda.jobsarchived4 (modificationtime, prodsourcelabel);
CREATE INDEX ON doma_panda.jobsarchived4 (piloterrorcode);
CREATE INDEX ON doma_panda.jobsarchived4 (produsername, jobstatus);
CREATE INDEX ON doma_panda.jobsarchived4 (reqid);
CREATE INDEX ON doma_panda.jobsarchived4 (specialhandling);
CREATE INDEX ON doma_panda.jobsarchived4 (statechangetime);
CREATE INDEX ON doma_panda.jobsarchived4 (taskid, prodsourcelabel, jobstatus, processingtype);
CREATE INDEX ON doma_panda.jobsarchived4 (upper((produsername)::text));
CREATE INDEX ON doma_panda.jobsarchived4 (workinggroup, jobstatus);
CREATE INDEX ON doma_panda.jobsarchived4 (workqueue_id, cloud, jobstatus, prodsourcelabel, currentpriority);

ALTER TABLE doma_panda.jedi_tasks ADD PRIMARY KEY (jeditaskid);
CREATE INDEX ON doma_panda.jedi_tasks (amiflag);
CREATE INDEX ON doma_panda.jedi_tasks (creationdate);
CREATE INDEX ON doma_panda.jedi_tasks (lockedby);
CREATE INDEX ON doma_panda.jedi_tasks (modificationtime);
CREATE INDEX ON doma_panda.jedi_tasks (parent_tid);
CREATE INDEX ON doma_panda.jedi_tasks (realmodificationtime);
CREATE INDEX ON doma_panda.jedi_tasks (reqid, username);
CREATE INDEX ON doma_panda.jedi_tasks (status, workqueue_id, prodsourcelabel, jeditaskid);
CREATE INDEX ON doma_panda.jedi_tasks (taskname, jeditaskid);
CREATE INDEX ON doma_panda.jedi_tasks (upper((taskname)::text));

ALTER TABLE doma_panda.filestable4 ADD PRIMARY KEY (row_id, modificationtime);
CREATE INDEX ON doma_panda.filestable4 (dataset, type, destinationdblock, status, pandaid);
CREATE INDEX ON doma_panda.filestable4 (destinationdblock);
CREATE INDEX ON doma_panda.filestable4 (dispatchdblock);
CREATE INDEX ON doma_panda.filestable4 (jeditaskid, datasetid, fileid);
CREATE INDEX ON doma_panda.filestable4 (lfn);
CREATE INDEX ON doma_panda.filestable4 (pandaid);

ALTER TABLE doma_panda.schedconfig_json ADD PRIMARY KEY (panda_queue);

ALTER TABLE doma_panda.harvester_workers ADD PRIMARY KEY (harvesterid, workerid, lastupdate);
CREATE INDEX ON doma_panda.harvester_workers (computingsite);
CREATE INDEX ON doma_panda.harvester_workers (harvesterid, submittime);
CREATE INDEX ON doma_panda.harvester_workers (lastupdate);
CREATE INDEX ON doma_panda.harvester_workers (status, pilotstatus);
CREATE INDEX ON doma_panda.harvester_workers (submittime);

ALTER TABLE doma_panda.harvester_rel_jobs_workers ADD PRIMARY KEY (harvesterid, workerid, pandaid);
CREATE INDEX ON doma_panda.harvester_rel_jobs_workers (lastupdate);
CREATE INDEX ON doma_panda.harvester_rel_jobs_workers (pandaid);
