"""The trainer of a tuning Workspace: `python3 -m kaito.engine.tuning`, LoRA and QLoRA.

One process looks at everything that can be wrong before PyTorch is imported: the command line, the
ConfigMap, every record of the data. It then starts one worker for each GPU, tells how far they are,
and ends with the exit code and the sentence that say how it went (kaito.engine.endings). Workers
train with TRL and PEFT. What is written lies in the output and checkpoint directories alone.
"""
