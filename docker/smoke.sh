#!/usr/bin/env bash
# Builds the images and tries the whole deployment: extraction and radius over REST, a training, every process killed,
# optionally the engine restarted, a clean stop. Needs docker compose, curl, python3; touches only the project it names.
#
#   SMOKE_PORT=18000             where the API is published
#   SMOKE_BUILD=0                use the images of the last run
#   SMOKE_MODEL=FOLDER           a GPT-2 folder to use, instead of training one for a minute
#   SMOKE_TRAINING=0             leave the training job out
#   SMOKE_RESTART_ENGINE='…'     a command that stops and starts the engine
#   SMOKE_AFTER_UP='…'           a command to run once the API is published, for example to forward its port
#   SMOKE_KEEP=1                 leave everything up in the end
set -euo pipefail
cd "$(dirname "$0")/.."

export COMPOSE_PROJECT_NAME=radius-smoke COMPOSE_FILE=docker-compose.yml COMPOSE_PROFILES=
export IMAGE_TAG=smoke RADIUS_WORKER_NAME=smoke
export PUBLISH_ADDRESS=127.0.0.1 PUBLISH_PORT=${SMOKE_PORT:-18000}
unset DATA_FOLDER MODELS_FOLDER CORPORA_FOLDER RADIUS_DATABASE_URL RADIUS_SEARCH_MEMORY_BYTES RADIUS_QUERY_MEMORY_BYTES
key=''
work=$(mktemp -d)
export SECRETS_FOLDER=$work SETTINGS_FILE=$work/settings
compose() { docker compose --env-file /dev/null "$@"; } # a user's .env must not change what is tried
url=http://127.0.0.1:$PUBLISH_PORT
services=(control compute trainer query api postgres)
steps=()

# ---------------------------------------------------------------------------------------------------- small tools
step() { # step NAME COMMAND…: run it and note how long it took
  local began=$SECONDS name=$1
  shift
  echo "== $name" >&2
  "$@"
  steps+=("$(printf '%-44s %5d s' "$name" $((SECONDS - began)))")
}

finish() {
  local code=$?
  trap - EXIT
  if [ $code -ne 0 ]; then
    compose ps --all >&2 || true
    compose logs --no-color --tail 40 >&2 || true
  fi
  if [ "${SMOKE_KEEP:-0}" = 1 ]; then
    echo "left up: COMPOSE_PROJECT_NAME=$COMPOSE_PROJECT_NAME SECRETS_FOLDER=$work, key $key" >&2
  else
    compose down --volumes --timeout 20 >/dev/null 2>&1 || true
    rm -rf "$work"
  fi
  printf '%s\n' "${steps[@]:-}"
  [ $code -eq 0 ] && echo "smoke: passed in $SECONDS s" || echo "smoke: FAILED after $SECONDS s"
  exit $code
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() { echo "smoke: $*" >&2; exit 1; }

until_true() { # until_true SECONDS COMMAND…
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $deadline ] || fail "not within the time: $*"
    sleep 1
  done
}

call() { # call PATH [JSON]: the answer of the API, or a failure with its problem
  local data=()
  [ $# -lt 2 ] || data=(--header 'Content-Type: application/json' --data "$2")
  curl --silent --show-error --fail-with-body --max-time 30 --header "Authorization: Bearer $key" "${data[@]}" "$url$1"
}

field() { python3 -c "import json, sys; d = json.load(sys.stdin); print($1)"; } # field 'd["id"]' < JSON

state() { call "/v1/jobs/$1" | field 'd["state"]'; }
has_ended() { [[ "$(state "$1" 2>/dev/null)" =~ ^(succeeded|failed|cancelled)$ ]]; } # the API may be down meanwhile
has_begun() { [[ "$(state "$1")" != queued ]]; }

submit() { call /v1/jobs "$1" | field 'd["id"]'; }
product() { call "/v1/jobs/$1" | field "next(r['id'] for r in d['results'] if r['type'] == '$2')"; }

await() { # await JOB SECONDS
  until_true "$2" has_ended "$1"
  [ "$(state "$1")" = succeeded ] || { call "/v1/jobs/$1" >&2; fail "job $1 did not succeed"; }
}

numbers() { call "/v1/radius/$1" | field '[(f["n"], f["nn_distance"]["mean"]) for f in d["fractions"]]'; }

restarts() { docker inspect --format '{{.RestartCount}}' "$(compose ps --quiet "$1")"; }
all_healthy() { # every service is up and its health check says yes
  local service
  for service in "${services[@]}"; do
    [ "$(compose ps --format '{{.Health}}' "$service")" = healthy ] || return 1
  done
}
answers() { curl --silent --fail --max-time 5 --output /dev/null "$url/readyz"; }

# --------------------------------------------------------------------------------------------------------- steps
prepare() {
  compose down --volumes --timeout 20 --remove-orphans >/dev/null 2>&1
  python3 -c 'import secrets; print(secrets.token_hex(24))' >"$work/database_password"
  chmod 755 "$work" && chmod 644 "$work/database_password" # the containers' users are not this one
  echo RADIUS_SHARD_TOKENS=8192 >"$SETTINGS_FILE"
}

build() { compose --profile demo build --quiet; }

make_key() { key=$(compose run --rm --no-deps -T api radius keys create --name smoke | tail -1); }

come_up() {
  compose up --detach --wait --wait-timeout 240
  eval "${SMOKE_AFTER_UP:-}" >&2
  until_true 30 answers
}

check_small_image() { # the API serves without the libraries of the workers
  # shellcheck disable=SC2016
  compose run --rm --no-deps -T api python -c '
import importlib.util, sys
sys.exit(any(importlib.util.find_spec(name) for name in ("torch", "faiss", "transformers")))' ||
    fail "the image of the API has torch, faiss or transformers"
}

check_settings() { # what the file of settings says reaches the processes
  [ "$(compose exec -T compute printenv RADIUS_SHARD_TOKENS)" = 8192 ] || fail "a setting did not reach the container"
}

check_nothing_left() {
  local left
  left=$(docker ps --all --quiet --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")
  left+=$(docker volume ls --quiet --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")
  [ -z "$left" ] || fail "after down there is still: $left"
}

refuse_strangers() {
  local code
  code=$(curl --silent --output /dev/null --write-out '%{http_code}' "$url/v1/jobs")
  [ "$code" = 401 ] || fail "without a key the API answers $code instead of 401"
}

provide_model() {
  if [ -n "${SMOKE_MODEL:-}" ]; then
    compose run --rm -T --volume "$(realpath "$SMOKE_MODEL"):/given:ro" demo-model cp -r /given /models/demo-gpt2
  else
    compose run --rm -T demo-model
  fi >&2
}

extract() {
  local job
  job=$(submit '{"kind": "extraction", "spec": {"model": "demo-gpt2", "corpus": "python-docs",
    "sites": ["blocks.-1.hook_resid_post"], "chunk_tokens": 32, "chunks": 2000, "chunks_per_document": "all"}}')
  await "$job" 300
  activations=$(product "$job" activations)
}

measure() {
  local job
  job=$(submit "{\"kind\": \"radius\", \"spec\": {\"activations\": \"$activations\"}}")
  await "$job" 300
  first_report=$(product "$job" radius)
  echo "   n and mean distance of each fraction: $(numbers "$first_report")" >&2
}

ask() { # the query worker, through its socket
  call "/v1/activations/$activations/query" '{"texts": ["The import statement binds a name."]}' |
    field 'len(d["results"])' | grep --quiet '^1$'
}

look() { # a person logs in by the key and looks at the report; what draws its charts comes from the service too
  local jar=$work/cookies browser=(--silent --fail --max-time 30 --header 'Accept: text/html')
  curl "${browser[@]}" --output /dev/null --cookie-jar "$jar" --data-urlencode "key=$key" "$url/login"
  curl "${browser[@]}" --cookie "$jar" "$url/" | grep --quiet 'Newest jobs' || fail "the overview is not shown"
  curl "${browser[@]}" --cookie "$jar" "$url/radius/$first_report" | grep --quiet '<dt>how far</dt>' ||
    fail "the page of a report is not shown"
  curl "${browser[@]}" --output /dev/null "$url/static/plotly.js"
}

train() {
  local job
  job=$(submit '{"kind": "training", "spec": {"preset": "smoke/f2"}}') || fail "training jobs are not accepted"
  await "$job" 900
}

analysis='{"kind": "analysis", "spec": {"preset": "smoke/f1", "chunks": 2000, "reuse": false}}'

analyse() { # the numbers that every later analysis must give again
  local job
  job=$(submit "$analysis")
  await "$job" 300
  expected=$(numbers "$(product "$job" radius)")
}

survive_kill() { # survive_kill SERVICE: its main process is killed while a job runs
  local job before
  job=$(submit "$analysis")
  until_true 60 has_begun "$job"
  before=$(restarts "$1")
  # Pid 1 is the init process; `docker kill` would count as a wish of the user and start nothing again.
  # shellcheck disable=SC2016
  compose exec -T "$1" sh -c 'kill -9 $(cat /proc/1/task/1/children)' || true
  # shellcheck disable=SC2329
  has_restarted() { [ "$(restarts "$1")" -gt "$before" ]; }
  until_true 60 has_restarted "$1"
  until_true 120 all_healthy
  await "$job" 300
  same_as_before "$job"
}

same_as_before() { # the job's numbers are right, and what was there before still is
  [ "$(numbers "$(product "$1" radius)")" = "$expected" ] || fail "job $1 gave other numbers than before"
  numbers "$first_report" >/dev/null
}

survive_restart() {
  local job
  job=$(submit "$analysis")
  until_true 60 has_begun "$job"
  eval "$SMOKE_RESTART_ENGINE" >&2
  until_true 180 all_healthy
  until_true 30 answers
  await "$job" 300
  same_as_before "$job"
}

stop_cleanly() { # even with a job under way nothing may have to be killed
  local service code job
  job=$(submit "$analysis")
  until_true 60 has_begun "$job"
  compose stop
  for service in "${services[@]}"; do
    code=$(docker inspect --format '{{.State.ExitCode}}' "$(compose ps --all --quiet "$service")")
    echo "   $service: $code" >&2
    [ "$code" = 0 ] || fail "$service ended with exit code $code"
  done
}

step "down, secrets" prepare
[ "${SMOKE_BUILD:-1}" = 0 ] || step "build" build
step "key" make_key
step "up, everything healthy" come_up
step "settings" check_settings
step "no torch in the image of the API" check_small_image
step "401 without a key" refuse_strangers
step "a small model" provide_model
step "extraction" extract
step "radius" measure
step "a question to the query worker" ask
step "the page" look
[ "${SMOKE_TRAINING:-1}" = 0 ] || step "training" train
step "analysis" analyse
for service in "${services[@]}"; do step "kill -9 in $service, analysis goes on" survive_kill "$service"; done
[ -z "${SMOKE_RESTART_ENGINE:-}" ] || step "engine restarted, analysis goes on" survive_restart
step "stop, exit codes" stop_cleanly
if [ "${SMOKE_KEEP:-0}" != 1 ]; then
  step "down" compose down --volumes
  step "nothing is left" check_nothing_left
fi
