// Display of a live session: the spectrogram that scrolls under the playhead, the seconds generated ahead, and the queue
// of prompts.

(() => {
    "use strict";

    const shared = (window.riffusionLive = window.riffusionLive || {});

    const HEAD = 0.35; // position of the playhead, as a share of the canvas's width

    // Translates a text by the webui's localization file; say() also fills in {0} and {1}.
    shared.translated = (text) => (typeof localization === "object" && localization && localization[text]) || text;
    shared.say = (text, ...values) => shared.translated(text).replace(/\{(\d)\}/g, (_, number) => values[number]);
    const {translated, say} = shared;
    const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

    // Formats a speed. A value below 1 is never rounded up to 1, because playback will pause then.
    shared.times = (speed) => {
        if (speed < 1) {
            return speed < 0.1 ? String(Number(speed.toPrecision(1))) : (Math.floor(100 * speed) / 100).toFixed(2);
        }
        return speed < 10 ? speed.toFixed(1) : String(Math.round(speed));
    };

    shared.Screen = class {
        constructor(stage) {
            this.stage = stage;
            stage.innerHTML =
                '<canvas class="riffusion-live-picture" tabindex="0" role="img"></canvas>' +
                '<div class="riffusion-live-meter" role="meter" aria-valuemin="0"><div></div></div>' +
                '<p class="riffusion-live-ahead"></p><p class="riffusion-live-now"></p>' +
                '<p class="riffusion-live-status" role="status"></p>' +
                '<div class="riffusion-live-row"><button type="button" disabled></button>' +
                '<label><span></span> <input type="range" min="0" max="1" step="0.01" value="1"></label></div>' +
                '<ol class="riffusion-live-queue"></ol><div class="riffusion-live-recordings"></div>';
            const find = (name) => stage.querySelector(name);
            [this.canvas, this.meter, this.button] = [find("canvas"), find(".riffusion-live-meter"), find("button")];
            this.ahead = find(".riffusion-live-ahead");
            this.now = find(".riffusion-live-now");
            this.status = find(".riffusion-live-status");
            this.volume = find("input");
            this.queue = find(".riffusion-live-queue");
            this.recordings = find(".riffusion-live-recordings");
            const label = translated("Spectrogram of what is heard. Space pauses and goes on.");
            this.canvas.setAttribute("aria-label", label);
            this.meter.setAttribute("aria-label", translated("Seconds generated ahead"));
            this.queue.setAttribute("aria-label", translated("Prompts that wait"));
            find("label span").textContent = translated("Volume");
            this.text(this.button, translated("Pause"));
            this.text(this.status, translated("Press Start the jam to hear it here."));
        }

        text(element, text) {
            if (element.textContent !== text) {
                element.textContent = text; // a screen reader announces every write, even of the same text
            }
        }

        draw(live) {
            const {canvas} = this;
            const scale = window.devicePixelRatio || 1;
            const [width, height] = [canvas.clientWidth, canvas.clientHeight];
            if (!width || !height) {
                return;
            }
            if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
                [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
            }
            const pen = canvas.getContext("2d");
            const style = getComputedStyle(canvas);
            pen.setTransform(scale, 0, 0, scale, 0, 0);
            pen.clearRect(0, 0, width, height);
            const head = Math.round(width * HEAD);
            const left = live.column() - head; // one column is one CSS pixel wide
            for (const {start, image} of live.strips.values()) {
                if (image.complete && image.naturalWidth && start + image.naturalWidth > left && start < left + width) {
                    pen.drawImage(image, start - left, 0, image.naturalWidth, height);
                }
            }
            pen.font = `12px ${style.fontFamily}`;
            for (const {column, label} of live.marks) {
                const x = column - left;
                if (x > -400 && x < width) {
                    pen.fillStyle = "#fff";
                    pen.fillRect(x + 3, 3, pen.measureText(label).width + 8, 18);
                    pen.fillStyle = "#111";
                    pen.fillRect(x, 0, 1, height);
                    pen.fillText(label, x + 7, 16);
                }
            }
            pen.fillStyle = "#fff";
            pen.fillRect(head - 2, 0, 4, height);
            pen.fillStyle = style.accentColor === "auto" ? "#f97316" : style.accentColor;
            pen.fillRect(head - 1, 0, 2, height);
        }

        // `missing`: seconds still to be generated before playback starts.
        showAhead({aim, speed, step, recording, rate}, seconds, missing) {
            this.meter.setAttribute("aria-valuemax", aim.toFixed(0));
            this.meter.setAttribute("aria-valuenow", Math.min(seconds, aim).toFixed(1));
            this.meter.firstElementChild.style.width = `${Math.min((100 * seconds) / aim, 100).toFixed(1)}%`;
            this.meter.classList.toggle("riffusion-behind", speed !== null && speed < 1);
            const parts = [say("{0} s ahead", Math.floor(seconds))];
            if (speed !== null) {
                parts.push(say("generated at {0} times the playing speed", shared.times(speed)));
            }
            if (missing > 0 && speed !== null) {
                parts.push(say("plays in about {0} s", Math.ceil(missing / speed)));
            }
            if (step[1]) {
                parts.push(say("step {0} of {1}", ...step));
            }
            if (recording !== null) {
                parts.push(say("recording {0}", clock(recording / rate)));
            }
            this.text(this.ahead, parts.join(" · "));
        }

        showQueue(queue, drop) {
            const serialized = JSON.stringify(queue);
            if (this.shownQueue === serialized) {
                return;
            }
            this.shownQueue = serialized;
            this.queue.replaceChildren(
                ...queue.map(({key, prompt}) => {
                    const item = document.createElement("li");
                    const button = document.createElement("button");
                    button.type = "button";
                    button.textContent = "✕";
                    button.setAttribute("aria-label", `${translated("Drop")}: ${prompt}`);
                    button.addEventListener("click", () => drop(key));
                    item.append(prompt, " ", button);
                    return item;
                })
            );
        }

        addRecording(html) {
            const box = document.createElement("div");
            box.innerHTML = html; // escaped by the server
            this.recordings.prepend(box);
        }
    };
})();
