// The page "Live": polls the server for the state of the jam, fetches new chunks and strips, and plays them.

(() => {
    "use strict";

    const shared = (window.riffusionLive = window.riffusionLive || {});

    const STAGE = "#riffusion_live_stage .riffusion-live-stage";
    const MARK = "#riffusion_live_jam [data-jam]";
    const POLL_INTERVAL_MS = 400;
    const MAX_LOAD_MS = 2000; // after that long, the server is told the playback position before more is loaded
    const REQUEST_TIMEOUT_MS = 15000; // then the request is sent again
    const KEPT_COLUMNS = 4096; // columns of the spectrogram that are kept to the left of the playhead
    const MAX_BLOCKED_POLLS = 3; // an audio context takes a moment to start
    const REDUCED_MOTION = matchMedia("(prefers-reduced-motion: reduce)");

    const root = () => (typeof gradioApp === "function" ? gradioApp() : document);

    // Calls `work` at each interval. In hidden tabs, browsers throttle timers to one a minute, but not those of workers.
    function ticker(work) {
        try {
            const code = `setInterval(() => postMessage(0), ${POLL_INTERVAL_MS})`;
            const address = URL.createObjectURL(new Blob([code], {type: "text/javascript"}));
            const worker = new Worker(address);
            worker.onmessage = work;
            return () => (worker.terminate(), URL.revokeObjectURL(address));
        } catch {
            const timer = setInterval(work, POLL_INTERVAL_MS);
            return () => clearInterval(timer);
        }
    }

    // --- one jam ----------------------------------------------------------------------------------------------------

    class Live {
        constructor(screen, address) {
            this.screen = screen;
            this.address = address;
            this.player = null;
            this.strips = new Map();
            this.marks = [];
            this.shownCount = this.nextChunk = this.nextStrip = 0;
            this.report = null;
            this.busy = this.over = this.muted = false;
            this.blockedPolls = 0; // polls in a row in which playback was due and the browser did not start the context
            this.autoplayBlocked = false;
            this.stopTicking = ticker(() => this.poll());
            this.showStatus(shared.translated("Generating the first window ..."));
            this.poll();
            this.animate();
        }

        showStatus(text) {
            this.screen.text(this.screen.status, text);
        }

        column() {
            return this.player && this.report ? Math.round(this.player.audible() / this.report.hop) : 0;
        }

        async request(path, options) {
            const signal = AbortSignal.timeout ? AbortSignal.timeout(REQUEST_TIMEOUT_MS) : undefined;
            const reply = await fetch(`${this.address}${path}`, {signal, ...options});
            if (!reply.ok) {
                throw Object.assign(new Error(String(reply.status)), {status: reply.status});
            }
            return reply;
        }

        async drop(key) {
            try {
                await this.request(`/drop/${key}`, {method: "POST"});
            } catch {
                // The next report shows whether the prompt is still queued.
            }
            this.poll();
        }

        async poll() {
            if (this.busy || this.over) {
                return;
            }
            this.busy = true;
            try {
                const heard = this.player ? this.player.position() : 0;
                const values = `heard=${heard}&chunk=${this.nextChunk}&strip=${this.nextStrip}&shown=${this.shownCount}`;
                const report = await (await this.request(`?${values}`)).json();
                this.report = report;
                await this.load(report);
                this.applyReport(report);
            } catch (error) {
                if (error.status === 404 || error.status === 401) {
                    this.finish(shared.translated("This jam is over."));
                } else {
                    this.showStatus(shared.translated("The server does not answer; what has been generated plays on."));
                }
            }
            this.busy = false;
        }

        async load(report) {
            if (!this.player) {
                const {rate, channels} = report;
                this.player = takePlayer(rate, channels, Number(this.screen.volume.value));
                this.screen.button.disabled = false;
            }
            const began = performance.now();
            for (const {number, start, stop} of report.strips) {
                const image = new Image();
                image.src = `${this.address}/strip/${number}`;
                this.strips.set(number, {start, stop, image});
                this.nextStrip = number + 1;
            }
            for (const [number, strip] of this.strips) {
                if (strip.stop < this.column() - KEPT_COLUMNS) {
                    this.strips.delete(number);
                }
            }
            for (const {number, start} of this.muted ? [] : report.chunks) {
                const data = new Int16Array(await (await this.request(`/chunk/${number}`)).arrayBuffer());
                if (this.over || this.muted) {
                    return;
                }
                this.player.add(start, data);
                this.nextChunk = number + 1;
                if (performance.now() - began > MAX_LOAD_MS) {
                    return; // the rest comes with the next report
                }
            }
        }

        applyReport(report) {
            if (this.over) {
                return;
            }
            const {player, screen} = this;
            report.shown.forEach((html) => screen.addRecording(html));
            this.shownCount += report.shown.length;
            screen.showQueue(report.queue, (key) => this.drop(key));
            const last = report.state === "failed" || report.state === "ended"; // no more chunks will come
            player.stopClockAtEnd();
            const ahead = (player.loaded - player.position()) / player.rate;
            if (!player.anchor && !this.muted && ahead > 0 && (ahead >= report.needed || last)) {
                player.begin();
            } else if (!player.anchor && last && report.recording === null) {
                this.finish(report.state === "failed" ? report.why : shared.translated("The jam has ended."));
                return;
            }
            const blocked = player.anchor && !player.paused && player.context.state !== "running";
            this.blockedPolls = blocked ? this.blockedPolls + 1 : 0;
            if (this.blockedPolls > MAX_BLOCKED_POLLS) {
                this.pause(true);
                this.autoplayBlocked = true;
            }
            this.updateStatus(report);
            screen.showAhead(report, ahead, player.anchor ? 0 : report.needed - ahead);
            this.showChanges(report);
        }

        // The status line is announced by screen readers, so it has only what changes seldom.
        updateStatus(report) {
            const {player} = this;
            if (this.muted) {
                this.showStatus(shared.translated("Stopping ..."));
            } else if (report.state === "failed") {
                this.showStatus(report.why);
            } else if (this.autoplayBlocked) {
                this.showStatus(shared.translated("The browser blocked automatic playback: press Go on."));
            } else if (player.paused) {
                this.showStatus(shared.translated("Paused."));
            } else if (player.anchor) {
                const slow = shared.say(
                    "Generating is slower than playing: {0} times its speed. There will be pauses.",
                    shared.times(report.speed || 0)
                );
                this.showStatus(report.speed !== null && report.speed < 1 ? slow : shared.translated("Playing."));
            } else if (report.state === "waiting") {
                this.showStatus(shared.translated("Waiting until the webui has finished its other work ..."));
            } else if (!report.samples) {
                this.showStatus(shared.translated("Generating the first window ..."));
            } else if (report.speed !== null && report.speed < 1) {
                const seconds = Math.max(1, Math.ceil(report.needed));
                this.showStatus(
                    shared.say(
                        "Generating is slower than playing: {0} times its speed. Buffering {1} s before it plays.",
                        shared.times(report.speed),
                        seconds
                    )
                );
            } else {
                this.showStatus(shared.translated("Buffering ..."));
            }
        }

        showChanges(report) {
            this.marks = [];
            let before = "";
            let now = "";
            for (const {start, prompt, to, alpha} of report.turns) {
                const label = alpha === 0 ? prompt : alpha === 1 ? to : `${prompt} → ${to}`;
                if (label !== before) {
                    this.marks.push({column: Math.round(start / report.hop), label});
                }
                before = label;
                if (start <= this.player.audible() && this.player.end > 0) {
                    now = alpha > 0 && alpha < 1 ? `${label} (${Math.round(100 * alpha)} %)` : label;
                }
            }
            this.screen.text(this.screen.now, now ? shared.say("Now: {0}", now) : "");
        }

        animate() {
            if (!this.over) {
                this.screen.draw(this);
                if (REDUCED_MOTION.matches || document.hidden) {
                    setTimeout(() => this.animate(), 500);
                } else {
                    requestAnimationFrame(() => this.animate());
                }
            }
        }

        pause(paused) {
            if (this.player && !this.over && this.player.paused !== paused) {
                this.autoplayBlocked = false;
                this.player.pause(paused);
                this.screen.text(this.screen.button, paused ? shared.translated("Go on") : shared.translated("Pause"));
                if (!paused) {
                    pauseOthers();
                }
                this.poll();
            }
        }

        // After Stop: silence at once. Polling goes on, because the server still finishes a recording.
        mute() {
            this.muted = true;
            if (this.player) {
                this.player.halt();
            }
        }

        // For a jam that another one replaces. By then, the server has finished its recording. The request to stop is for
        // two presses of Start in a row, of which the second did not know the first one's jam.
        async stopAndClose() {
            this.finish("");
            try {
                await this.request("/stop", {method: "POST"});
                const values = `chunk=${this.nextChunk}&strip=${this.nextStrip}&shown=${this.shownCount}`;
                const report = await (await this.request(`?${values}`)).json();
                report.shown.forEach((html) => this.screen.addRecording(html));
            } catch {
                // The jam is gone already.
            }
        }

        finish(text) {
            this.over = true;
            this.stopTicking();
            if (this.player) {
                this.player.close();
            }
            this.screen.button.disabled = true;
            this.screen.text(this.screen.button, shared.translated("Pause"));
            this.screen.showQueue([]);
            this.screen.text(this.screen.ahead, "");
            this.screen.meter.firstElementChild.style.width = "0";
            this.showStatus(text);
        }
    }

    // --- the page ---------------------------------------------------------------------------------------------------

    let screen = null;
    let live = null;
    let allowedPlayer = null; // player whose audio context was allowed by a press of Start

    function unlock() {
        if (!allowedPlayer) {
            allowedPlayer = new shared.Player(44100, 1, 1);
            allowedPlayer.context.resume();
        }
    }

    // Returns a player of a sample rate: the allowed one if its rate fits, else a new one.
    function takePlayer(rate, channels, volume) {
        const old = allowedPlayer;
        allowedPlayer = null;
        if (old && old.rate === rate) {
            old.channels = channels;
            old.volume.gain.value = volume;
            old.context.resume();
            return old;
        }
        if (old) {
            old.close();
        }
        return new shared.Player(rate, channels, volume);
    }

    function pauseOthers() {
        for (const audio of root().querySelectorAll("audio")) {
            audio.pause();
        }
    }

    function refresh() {
        const stage = root().querySelector(STAGE);
        if (stage && (!screen || screen.stage !== stage)) {
            screen = new shared.Screen(stage);
            screen.button.addEventListener("click", () => live && live.player && live.pause(!live.player.paused));
            screen.volume.addEventListener("input", () => {
                if (live && live.player) {
                    live.player.setVolume(Number(screen.volume.value));
                }
            });
            screen.canvas.addEventListener("keydown", (event) => {
                if (event.key === " " && live && live.player) {
                    event.preventDefault();
                    live.pause(!live.player.paused);
                }
            });
        }
        const mark = root().querySelector(MARK);
        const address = mark ? mark.dataset.jam : "";
        if (screen && address && (!live || live.address !== address)) {
            if (live && !live.over) {
                live.stopAndClose();
            }
            pauseOthers();
            live = new Live(screen, address);
        }
    }

    document.addEventListener(
        "click",
        (event) => {
            if (!(event.target instanceof Element)) {
                return;
            }
            if (event.target.closest("#riffusion_live_go")) {
                unlock();
            } else if (event.target.closest("#riffusion_live_stop") && live && !live.over) {
                live.mute();
            }
        },
        true
    );
    // Only one player plays at a time. Media events do not bubble, but they can be captured.
    document.addEventListener(
        "play",
        (event) => {
            if (event.target instanceof HTMLAudioElement && live) {
                live.pause(true);
            }
        },
        true
    );
    window.addEventListener("pagehide", () => live && !live.over && navigator.sendBeacon(`${live.address}/stop`));

    if (typeof onAfterUiUpdate === "function") {
        onAfterUiUpdate(refresh);
    } else {
        new MutationObserver(refresh).observe(document.documentElement, {childList: true, subtree: true});
    }
    refresh();
})();
