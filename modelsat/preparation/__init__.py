"""From a folder of tables to aptitude tests, cards and the data of a training job."""
